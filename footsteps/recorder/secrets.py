"""What is never written: files that look like secrets, and secrets in texts and arguments."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


# Never copied. A leading or a trailing * stands for anything.
SECRET_NAMES = (
    ".env", ".env.*", "*.env", "*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk",
    "id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", ".netrc", "_netrc", ".pgpass", ".pypirc", ".npmrc",
    ".htpasswd", ".git-credentials", ".dockercfg", "credentials", "credentials.*", ".credentials*",
    "secrets.*", ".secrets*", "secret.*", "kaggle.json", "service-account*.json", "service_account*.json",
)  # fmt: skip


NO_SECRETS = ("*.example", "*.sample", "*.template", "*.dist", "*.pub", "*.py")


def looks_secret(path: str) -> bool:
    """Whether a file of this name is never copied (SECRET_NAMES)."""
    name = path.rpartition("/")[2].lower()
    return any(_fits(name, p) for p in SECRET_NAMES) and not any(_fits(name, p) for p in NO_SECRETS)


def is_bytecode(path: str) -> bool:
    """Whether Python made this file of another: kept like any other, but no part of a code's identity.

    Its header holds the source's mtime, and it appears with the first run.
    """
    return path.endswith((".pyc", ".pyo"))


def _fits(name: str, pattern: str) -> bool:
    start, star, end = pattern.partition("*")
    if not star:
        return name == pattern
    if "*" in end:
        return start in name
    return name.startswith(start) and name.endswith(end) and len(name) >= len(pattern) - 1


_SECRET_WORDS = {"token", "password", "passwd", "passphrase", "secret", "credential", "credentials", "apikey", "pat"}


_SECRET_PAIRS = {("api", "key"), ("access", "key"), ("private", "key"), ("secret", "key"), ("auth", "key")}


_SECRET_HINTS = ("token", "passw", "passphrase", "secret", "credential", "key", "authorization")  # in a text


_SECRET_STARTS = (
    "ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "hf_", "sk-", "xoxb-", "xoxp-", "AKIA", "ya29.", "pypi-AgE",
)  # fmt: skip


_noted: set[str] = set()  # words of the command line that a parser knows to be secrets


def note_secrets(words: Iterable[str]) -> None:
    """Mask these words of the command line wherever it is recorded from now on: a parser knows what ``-p`` means."""
    _noted.update(filter(None, words))


def is_secret_name(name: str) -> bool:
    """Whether an option or variable of this name (``--hf-token``, ``apiKey``) holds a secret."""
    words = "".join(f" {c}" if c.isupper() and b.islower() else c for b, c in zip(" " + name, name, strict=False))
    parts = words.lower().replace("-", " ").replace("_", " ").replace(".", " ").split()
    return bool(parts) and (parts[-1] in _SECRET_WORDS or tuple(parts[-2:]) in _SECRET_PAIRS)


def mask(text: str) -> str:
    """The text with ``***`` for credentials in URLs, after a secret's name, and for what looks like a known token."""
    if "://" in text:
        text = _masked_urls(text)
    if (":" in text or "=" in text) and any(word in text.lower() for word in _SECRET_HINTS):
        text = _masked_values(text)
    return "***" if text.startswith(_SECRET_STARTS) and len(text) >= 20 and text.isascii() else text


def _masked_urls(text: str) -> str:
    head, *rest = text.split("://")
    done = head
    for part in rest:
        authority = part[: min((part.find(c) for c in "/?# \"'\n" if c in part), default=len(part))]
        user, at, host = authority.rpartition("@")
        keep_user = head.endswith("ssh") and ":" not in user  # ssh://git@host: a login name, no secret
        shown = f"{user}@{host}" if at and keep_user else f"***@{host}" if at else host
        tail = part[len(authority) :]
        query = tail.partition("?")
        if query[1]:
            pairs = [f"{k}=***" if e and is_secret_name(k) else k + e + v for k, e, v in _pairs(query[2])]
            tail = query[0] + "?" + "&".join(pairs)
        done, head = f"{done}://{shown}{tail}", part
    return done


def _masked_values(text: str) -> str:
    """Masks `{api_key: X}`, `"token": "X"`, `Authorization: Bearer X`."""
    import re  # costs 2 ms, and few command lines need it

    value = r"""(?:(?:Bearer|Basic|Digest|Token)\s+)?(?:"[^"]*"|'[^']*'|[^\s"',;&}\])]+)"""
    named = rf"""(?i)([\w.-]+)(["']?\s*[:=]\s*){value}"""
    return re.sub(named, lambda found: f"{found[1]}{found[2]}***" if _is_secret_key(found[1]) else found[0], text)


def _is_secret_key(name: str) -> bool:
    return is_secret_name(name) or name.lower().endswith("authorization")


def _pairs(query: str) -> list[tuple[str, str, str]]:
    return [pair.partition("=") for pair in query.split("&")]


def mask_arguments(argv: Sequence[str]) -> list[str]:
    """The arguments with ``***`` for secrets: ``--token X``, ``--password=X``, ``{api_key: X}``, URLs, noted words."""
    masked, after = [], False
    for argument in argv:
        name, equals, value = argument.partition("=")
        if (after and not argument.startswith("--")) or argument in _noted:
            masked.append("***")
        elif equals and (is_secret_name(name.lstrip("-+")) or value in _noted):
            masked.append(f"{name}=***")
        else:
            masked.append(_without_noted(mask(name + equals + mask(value))))
        after = argument.startswith("-") and not equals and is_secret_name(argument.lstrip("-"))
    return masked


def _without_noted(argument: str) -> str:
    """``-pX`` with ``***`` for an X that was noted."""
    short = argument.startswith("-") and not argument.startswith("--")
    ends = [word for word in tuple(_noted) if short and argument.endswith(word)]
    return argument.removesuffix(max(ends, key=len)) + "***" if ends else argument
