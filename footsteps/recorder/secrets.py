"""What is never written: ``***`` stands for it in every text, and a file that holds it is left out.

    is_secret_name(name)    whether an option, variable or key of this name holds a secret
    hides(name, value)      whether this value of this name is not written
    mask(text)              the text with *** for logins in URLs, values of secret names, and tokens
    masked(value, name)     the value with *** in it, at any depth, of any type
    mask_arguments(argv)    the command line with *** in it
    looks_secret(path)      whether a file is never copied because of its name
    secret_line(data)       the line of a file's content that holds a token or a private key
    why_secret(path, data)  why a file is left out, by its name or its content

Everything takes time linear in its input. A text that holds no hint of a secret costs a few
searches in C and does not import re: this runs at the start of every program.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import re
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

MASK = "***"
KEEP_VARIABLE = "FOOTSTEPS_KEEP_SECRETS"


def _set(*lines: str) -> frozenset[str]:
    return frozenset(" ".join(lines).split())


# ---------------------------------------------------------------------------
# Names
# ---------------------------------------------------------------------------

# A name is secret by its last word: hf_token, apiKey, X-Amz-Signature, db.password2.
PASSWORDS = _set(
    "passwd password passphrase passcode passkey passw pwd pw pswd psw secret credential cred apikey",
)
WORDS = PASSWORDS | _set(
    "pass token auth oauth authorization bearer cookie jwt signature sig sas webhook dsn pat",
)
RUN_TOGETHER = (
    "password", "passwd", "passphrase", "passcode", "secret", "credential", "apikey", "pwd",
    "token", "auth", "authorization", "cookie", "webhook", "signature",
)  # fmt: skip
# A key and a pass only where the word before says whose: api_key, but not key_dim, sort_key, monkey, compass.
KEY_OF = tuple(
    _set(
        "access account admin anthropic api app auth aws azure bearer client cohere comet consumer crypto datadog",
        "decryption deploy deployment dev encryption gcp gemini gpg google groq hf hmac huggingface jwt kaggle ld",
        "license master mistral neptune openai openrouter pgp pinecone priv private rsa secret sendgrid server",
        "service session shared signing ssh ssl storage stripe subscription tls together token wandb webhook write",
    )
)
PASS_OF = _set(
    "admin db email ftp git http https imap key ldap login mail my mysql pg postgres proxy redis root smtp sql",
    "ssh sudo user vault web wifi",
)
# After these words a token is a piece of text, a pass a round, a signature a kind: max_tokens, eos_token, forward_pass.
ORDINARY = _set(
    "added all append audio avg backward band batch begin bos by class cls completion context count drop end eos",
    "extra first forward function generated global high image img input key last latent local low mask max mean",
    "memory method min model multi n new next non num number of one output pad patch per prepend prev previous",
    "prompt query reasoning register second seen sep single skip source special speech start stop sub summary src",
    "target text tgt think thinking third three time total train two type unk video vision visual word",
)
MAY_BE_ORDINARY = {"token", "pass", "signature", "sig", "auth", "cookie"}
# A number of these is a measure, no secret: sig=0.05, pat=3; so is a number of a plural: tokens=1000.
SHORT_NAMES = {"sig", "signature", "sas", "pat", "auth", "oauth", "dsn", "cookie", "webhook"}
# Words that may follow: webhook_url, password_hash, auth_header.
NEXT_WORDS = {
    **dict.fromkeys(("value", "string", "str", "text", "plain", "raw", "hash", "encoded"), PASSWORDS),
    **dict.fromkeys(("url", "uri"), frozenset({"webhook", "sas", "dsn"})),
    **dict.fromkeys(("header", "headers"), frozenset({"auth", "authorization", "cookie"})),
}
IN_QUERIES = {"key", "code", "sid", "sessionid", "hmac", "x-amz-credential"}  # ?key=X, &code=X
HINTS = (
    "pass", "pw", "psw", "secret", "token", "key", "auth", "bearer", "cookie", "cred", "jwt", "sig", "sas", "hook",
    "dsn", "pat",
)  # fmt: skip
OPEN = {"", "true", "false", "none", "null", "yes", "no", MASK}  # values that are worth reading


def is_secret_name(name: str) -> bool:
    """Whether an option, variable or key of this name (``--hf-token``, ``apiKey``, ``PGPASSWORD``) holds a secret."""
    return bool(_kind(name))


def hides(name: str, value: object) -> bool:
    """Whether ``value`` may not be written under ``name``; None, True and an empty value always may."""
    kind = _kind(name)
    if not kind or value is None or isinstance(value, bool) or (isinstance(value, str) and value.lower() in OPEN):
        return False
    if isinstance(value, (str, int, float)):
        return not (kind == "measure" and _is_number(value))
    try:
        return bool(len(value))  # type: ignore[arg-type]
    except Exception:
        return True


def _kind(name: str) -> str:
    """Of a name: "secret", "measure" if a number of it is no secret, else ""."""
    name = name[-100:]
    low = name.lower()
    if not any(hint in low for hint in HINTS):
        return ""
    words = _words_of_name(name)
    if len(words) > 1 and words[-1] in NEXT_WORDS and _singular(words[-2]) in NEXT_WORDS[words[-1]]:
        return "secret"
    if len(words) > 1 and words[-2] == "pass" and words[-2] + words[-1] in WORDS:  # passWord, pass-phrase
        return "secret"
    return _kind_of_word(words[-1], words[-2] if len(words) > 1 else "") if words else ""


def _kind_of_word(word: str, before: str) -> str:
    stem = _singular(word)
    if stem not in WORDS and stem != "key":
        tail = next((end for end in (*RUN_TOGETHER, "pass", "key") if stem.endswith(end)), "")
        if not tail or stem == "oldpwd":
            return ""
        stem, before = tail, stem[: -len(tail)]
        if stem == "pass" and before not in PASS_OF:
            return ""
    if (stem == "key" and not before.endswith(KEY_OF)) or (stem in MAY_BE_ORDINARY and before in ORDINARY):
        return ""
    return "measure" if stem in SHORT_NAMES or (word != stem and word.endswith("s")) else "secret"


def _singular(word: str) -> str:
    """``tokens`` is ``token``, but ``dbpass`` and ``sas`` are no plurals, and ``passes`` no ``pass``."""
    return word[:-1] if word.endswith("s") and word != "sas" and not word.endswith("ss") else word


def _words_of_name(name: str) -> list[str]:
    """The words of a name, split at case, digits and signs; small."""
    split, last = [], ""
    for at, letter in enumerate(name):
        small_next = name[at + 1 : at + 2].islower()
        if letter.isupper() and (last.islower() or (last.isupper() and small_next and name[at + 1 : at + 3] != "s")):
            split.append(" ")
        split.append(letter if letter.isalpha() else " ")
        last = letter
    return "".join(split).lower().split()


def _is_number(value: object) -> bool:
    text = str(value).strip()
    try:
        return len(text) <= 15 and float(text.rstrip("kKMBT%")) is not None
    except ValueError:
        return False


# ---------------------------------------------------------------------------
# Tokens that are known by their form
# ---------------------------------------------------------------------------

GITLAB = tuple(f"gl{kind}-" for kind in _set("pat dt rt rtr ptt ft imt agent oas soat cbt ffct"))
# What a text must hold, and a pattern; of its group 1, where there is one, the text is kept.
# Linear: a fixed beginning, then a class that is cut nowhere, or counts that are bounded.
FORMS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("ghp_", "gho_", "ghu_", "ghs_", "ghr_"), r"gh[pousr]_[A-Za-z0-9]{16,}"),
    (("github_pat_",), r"github_pat_\w{16,}"),
    (GITLAB, r"gl(?:pat|dt|rt|rtr|ptt|ft|imt|agent|oas|soat|cbt|ffct)-[\w-]{16,}"),
    (("hf_", "api_org_"), r"(?:hf_|api_org_)[A-Za-z0-9]{17,}"),
    (("sk-",), r"sk-(?:proj|svcacct|admin|ant|or|lf)-[\w-]{16,}|(?<![A-Za-z0-9])sk-[A-Za-z0-9]{17,}[\w-]*"),
    (("gsk_", "r8_", "xai-", "pplx-", "nvapi-", "KGAT_"), r"(?:gsk_|r8_|xai-|pplx-|nvapi-|KGAT_)[\w-]{20,}"),
    (("xox", "xapp-"), r"(?:xox[a-z](?:\.xox[a-z])?|xapp)-[\w-]{10,}"),
    (("AKIA", "ASIA", "AROA", "AIDA", "ABIA", "ACCA"), r"A(?:KIA|SIA|ROA|IDA|BIA|CCA)[A-Z0-9]{16}"),
    (("AIza",), r"AIza[\w-]{30,}"),
    (("GOCSPX-",), r"GOCSPX-[\w-]{16,}"),
    (("ya29.",), r"ya29\.[\w-]{16,}"),
    (("npm_",), r"npm_[A-Za-z0-9]{16,}"),
    (("pypi-AgE",), r"pypi-AgE[\w-]{12,}"),
    (("k_live_", "k_test_", "whsec_"), r"(?<![A-Za-z0-9])(?:[srp]k_(?:live|test)|whsec)_[A-Za-z0-9]{10,}"),
    (("SG.",), r"SG\.[\w-]{16,}\.[\w-]{16,}"),
    (("eyJ",), r"eyJ(?:(?!eyJ)[\w-]){8,}\.[\w-]{8,}(?:\.[\w-]*){0,3}"),
    ((":",), r"(?<!\d)\d{8,10}:[\w-]{35}(?![\w-])"),
    (("dop_v1_", "dapi", "dckr_"), r"dop_v1_[0-9a-f]{32,}|dapi[0-9a-f]{32}|dckr_(?:pat|oat)_[\w-]{16,}"),
    (("hvs.", "hvb."), r"hv[sb]\.[\w-]{20,}"),
    (("shp", "lin_api_", "ntn_", "figd_", "glsa_"), r"(?:shp(?:at|ss|ca|pa)|lin_api|ntn|figd|glsa)_[\w-]{20,}"),
    (("tskey-", "PMAK-", "ATATT3", "ATBB"), r"(?:tskey-|PMAK-|ATATT3|ATBB)[\w=-]{20,}"),
    (("AGE-SECRET-KEY-1",), r"AGE-SECRET-KEY-1[A-Z0-9]{20,}"),
    (("hooks.slack.com/",), r"(hooks\.slack\.com/[a-z]+/)[^\s\"'<>)]{8,}"),
    (("/api/webhooks/",), r"(/api/webhooks/)\d+/[\w-]{16,}"),
    (("office.com/",), r"((?:webhook\.office\.com|office\.com/webhook)/)[^\s\"'<>)]{16,}"),
    (("hooks.zapier.com/", "/bot/v2/hook/"), r"((?:hooks\.zapier\.com|/bot/v2/hook)/)[\w/-]{20,}"),
)  # fmt: skip
BEGIN_KEY = r"-{4,5} ?BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY(?: BLOCK)? ?-{4,5}"
KEY_BLOCK = BEGIN_KEY + r"[^-]*(?:-(?!-{3})[^-]*)*(?:-{4,5} ?END [A-Z0-9 ]{0,50}-{4,5})?"
# A source that only speaks of such blocks has a quote or a plus behind the words.
KEY_IN_FILE = BEGIN_KEY + r"(?:\s|\\[rn]){1,8}[\"' ]{0,8}[A-Za-z0-9]|PuTTY-User-Key-File-\d"
IN_TEXTS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("PRIVATE KEY",), KEY_BLOCK),
    (("earer ", "EARER "), r"((?i:bearer)[ \t]{1,8})(?!auth|token|\*)[\w.~+/=-]{6,}"),
    (("asic ", "ASIC "), r"((?i:basic)[ \t]{1,8})(?=[A-Za-z+/]{0,80}[\d=])[A-Za-z0-9+/]{6,}={0,2}"),
    (("password",), r"(\b(?:machine|login|account|user|default)\s{1,9}(?:\S{1,99}\s{1,9})?password\s{1,9})\S+"),
    (("%40",), r"(?i)(%3A%2F%2F)(?:(?!%40|%3A%2F%2F)[^\s\"'&]){1,300}(?=%40)"),
)  # fmt: skip

_IN_FILES = (*FORMS, (("PRIVATE KEY", "PuTTY-User-Key-File-"), KEY_IN_FILE))
_BEGINNINGS = tuple(hint for hints, _ in (*_IN_FILES, *IN_TEXTS) for hint in hints if hint != ":")


def secret_line(data: bytes) -> int | None:
    """The number (from 1) of the first line of a file's content that holds a token's form or a private key, else None.

    Placeholders are none: AWS's ...EXAMPLE, and ghp_xxxx.
    """
    text = data.decode("latin-1")
    found = [at for pattern in _worth_trying(text, _IN_FILES) for at in _places(pattern, text)]
    return text.count("\n", 0, min(found)) + 1 if found else None


def _worth_trying(text: str, rows: Iterable[tuple[tuple[str, ...], str]]) -> Iterator[str]:
    """The patterns of whose hints a text holds one: trying any costs an import of re, which takes milliseconds."""
    held = {hint for hint in _BEGINNINGS if hint in text}  # none in most texts
    if held or _may_be_telegram(text):
        for hints, pattern in rows:
            if any(_goes_on(text, hint) for hint in hints if hint in held or hint == ":"):
                yield pattern


def _goes_on(text: str, hint: str) -> bool:
    """Whether a token may go on where a text has its beginning: not in ``hf_hub``, ``task-``, ``a: b``."""
    if hint == ":":
        return _may_be_telegram(text)
    if hint not in _OF_FORMS:
        return True
    at = text.find(hint)
    while at >= 0:
        rest = text[at + len(hint) : at + len(hint) + 8]
        fits = rest.isalnum() if hint in ALPHANUMERIC_TOKENS else not any(map(str.isspace, rest))
        if fits and (hint != "sk-" or not text[at - 1 : at].isalnum() or rest.startswith(KINDS_OF_SK)):
            return True
        at = text.find(hint, at + 1)
    return False


ALPHANUMERIC_TOKENS = _set(
    "ghp_ gho_ ghu_ ghs_ ghr_ hf_ api_org_ npm_ k_live_ k_test_ whsec_"
)  # of letters and digits only
KINDS_OF_SK = ("proj-", "svcacct", "admin-", "ant-", "or-", "lf-")
_OF_FORMS = frozenset(hint for hints, _ in FORMS for hint in hints)


def _places(pattern: str, text: str) -> Iterator[int]:
    """Where the pattern is first found, placeholders aside."""
    import re

    for found in re.finditer(pattern, text, re.ASCII):
        if "EXAMPLE" not in found[0] and len(set(found[0][-12:].lower()) - set("x*.")) > 0:
            yield found.start()
            return


# ---------------------------------------------------------------------------
# Texts
# ---------------------------------------------------------------------------


def mask(text: str) -> str:
    """The text with ``***`` for logins in URLs, for what follows the name of a secret, and for tokens by their form."""
    for _ in range(8):  # what stands in the place of one secret may bare the next
        before, text = text, _mask_once(text)
        if text == before:
            break
    return text


def _mask_once(text: str) -> str:
    for pattern in _worth_trying(text, (*FORMS, *IN_TEXTS)) if len(text) > 10 else ():
        text = _without(pattern, text)
    if "@" in text and ":" in text[: text.rindex("@")]:
        text = _without_logins(text)
    return _without_named(text) if _may_name(text) else text


def _without(pattern: str, text: str) -> str:
    import re

    return re.sub(pattern, lambda found: (found[1] if found.re.groups else "") + MASK, text, flags=re.ASCII)


def _may_be_telegram(text: str) -> bool:
    return len(text) > 40 and ":" in text and any(end[-8:].isdigit() and len(end) > 7 for end in text.split(":")[:-1])


def _without_logins(text: str) -> str:
    """``https://***@host``, ``***@host``; the name in ssh://git@host is no secret."""
    import re

    host = r"@(?=[\w\[%-])"
    compact = rf"(ssh|sftp)?://([^\s/?#\"'<>]+){host}"
    # A password with / # ? blanks or quotes in it; http://host:80/@x has none.
    wide = rf"://[^\s/?#\"'<>@:\[\]]*:(?!\d{{1,5}}(?:[/?#\s\"']|$))[^\s][^\n@]{{0,200}}{host}"
    word = r"[^\s@\"'<>]{1,128}(?:@[^\s@\"'<>]{1,64}){0,2}"
    bare = rf"(?<![\w./%+\\-])([\w.+%-]{{1,64}}):(?!//)({word})@(?=[A-Za-z\[]|\d+\.\d+\.)"
    text = re.sub(compact, lambda m: m[0] if m[1] and ":" not in m[2] else f"{m[1] or ''}://{MASK}@", text)
    text = re.sub(wide, "://" + MASK + "@", text)
    return re.sub(bare, lambda m: m[0] if _is_address(m) else MASK + "@", text)


NO_LOGINS = _set("mailto from to cc bcc author by contact email mail pkg npm jsr ssh sftp")


def _is_address(found: re.Match[str]) -> bool:
    """Whether ``a:b@c`` is no login: mailto:bob@c, image:tag@sha256:..., C:/b@c, 12:30@c."""
    user, rest = found[1], found[2]
    drive = len(user) == 1 and rest[0] in "\\/"
    return user.lower() in NO_LOGINS or drive or user.isdigit() or found.string.startswith("sha", found.end())


# A name and what may stand between it and its value.
OPTION_NAME = (
    r"(?<![\w.-])(?P<name>--?\w[\w.-]*|(?<=[<:])\w[\w.-]*(?=[^<>\n]{0,100}>)|\w[\w.-]*(?:[ ]\w[\w.-]*)?)(?![\w.-])"
)
BETWEEN = r"""(?P<between>
    (?P<plain>(?:\\*["']|&quot;|&\#39;)?\]?[ \t]{0,8}
        (?::[ ]?(?:str|bytes|Any|SecretStr|Optional\[\w{1,20}\])(?:[ ]?\|[ ]?\w{1,20})?[ ]?=
        | :=|=>|==?|:(?!//))[ \t]{0,8})
  | (?P<encoded>(?:%2[27])?%3[ADad](?:%2[027])?(?:%2[27])?)
  | \\*["'][,\s]{1,3}\\*["']?value\\*["']?[ \t]{0,4}[:=][ \t]{0,4}
  | (?P<comma>\\*["'],[ \t]{0,4}(?=[bru]{0,2}\\*["']))
  | (?P<tag>(?<!\s)(?:\s[^<>]{0,200})?>)
  | (?P<blank>[ \t]{1,8}(?=[^\s=:-]))
)"""
OPENING = r"""[bBrRuUfF$]{0,2}(\\*(?:\"\"\"|'''|["']|&quot;|&\#39;))"""
SCHEME = r"(?:Bearer|Basic|Token|ApiKey|Api-Key|Key)[ \t]+(?=[^\s,;\]})\"'])"
HEADER = r"(?:Bearer|Basic|Token|ApiKey|Api-Key|Key|[A-Za-z][\w-]{0,30}(?=[ \t]+[^\s:=]{6,}))[ \t]+(?=[^\s,;\]})\"'])"
TO_END = r"(?:Digest|AWS4-HMAC-SHA256|OAuth|Signature|Hawk|SharedKey|SharedKeyLite)[ \t]"
# A sign that often ends a value does not when a letter follows that begins no other name: hun,ter2 but a=X,b=Y.
BARE = r"""(?:[^\s"',;&}\])<>\\] | \\(?!["']) | ["',;&}\])<>](?=\w)(?!\w[\w.-]{0,60}["']?[ ]?(?:[:=]|%3D)))+"""
CALL_OR_BRACKET = r"(?:[A-Za-z_][\w.]{0,99})?[\[({]"
STATEMENTS = _set("if elif else while for with def class lambda try except case")
YAML_BLOCK = r"(?:[|>][+-]?\d?)?[ \t]*\r?\n"


def _may_name(text: str) -> bool:
    """Whether a secret's name may be in the text: for a short one, whether one stands where a value follows."""
    low = text.lower()
    hints = (*HINTS, *IN_QUERIES) if "?" in text or "&" in text else HINTS
    if len(text) < 5 or not any(hint in low for hint in hints):
        return False
    if len(text) > 200 or any(sign in text for sign in "<%,&\n") or (" " in text and "-" in text):
        return True
    befores = [part for sign in ":=" for part in text.split(sign)[:-1]]
    return any(_names_secret(part.rstrip(" \t\"'\\]:=")) for part in befores)


def _names_secret(before: str) -> bool:
    """Whether a text ends in a secret's name: ``&key`` and ``?code`` too."""
    cut = max(before.rfind("?"), before.rfind("&"), before.rfind(";"))
    return is_secret_name(before) or before[cut + 1 :].lower() in IN_QUERIES


def _without_named(text: str) -> str:
    """The text with *** for the value of each secret's name."""
    import re

    pairs = re.compile(OPTION_NAME + BETWEEN, re.VERBOSE)
    done, at, values = [], 0, _Values(text)
    found = pairs.search(text)
    while found:
        end = found.end()
        if _names_value(found):
            begin, last = values.span(found)
            if hides(found["name"], text[begin:last]) or (last > begin and not is_secret_name(found["name"])):
                done += [text[at:begin], MASK]
                at = last
            end = max(end, last)
        elif not found["plain"]:
            end = found.start() + len(found["name"].partition(" ")[0])
        found = pairs.search(text, end)
    return "".join(done) + text[at:] if done else text


def _names_value(found: re.Match[str]) -> bool:
    """Whether a name with what follows it stands before a secret."""
    name, text, start = found["name"], found.string, found.start()
    before = text[max(0, start - 3) : start]
    if found["blank"]:
        return name.startswith("-") and is_secret_name(name)
    if found["comma"] and not name.startswith("-") and not before.rstrip("b'\"\\").endswith("("):
        return False
    if found["tag"]:
        return before[-1:] in ("<", ":") and is_secret_name(name)
    return is_secret_name(name) or (before[-1:] in ("?", "&", ";") and name.lower() in IN_QUERIES)


class _Values:
    """Where in a text the values end; what is not closed ends with its line, and is sought once."""

    def __init__(self, text: str) -> None:
        self.text, self.open = text, False

    def match(self, pattern: str, at: int) -> re.Match[str] | None:
        """The pattern at one place of the text."""
        import re

        return re.compile(pattern, re.VERBOSE if pattern in (OPENING, BARE) else 0).match(self.text, at)

    def line_end(self, at: int) -> int:
        """The end of the line."""
        end = self.text.find("\n", at)
        return len(self.text) if end < 0 else end

    def span(self, found: re.Match[str]) -> tuple[int, int]:
        """Begin and end of the value that follows a name, quotes aside."""
        at, name = found.end(), found["name"].lower()
        if found["tag"]:
            end = self.text.find("</", at)
            return at, end if end >= 0 else self.line_end(at)
        opening = self.match(OPENING, at)
        if opening:
            return opening.end(), self.closing(opening.end(), opening[1])
        if found["encoded"]:
            return at, at + len(self.match(r"(?:%(?!2[26Cc]|3[Bb]|7[Dd])|[^\s\"'&%;,])*", at)[0])  # type: ignore[index]
        if self.match(YAML_BLOCK, at):
            return self.block(found)
        if name.endswith("cookie") or self.match(TO_END, at):
            return at, self.rest(found)
        if self.match(CALL_OR_BRACKET, at) or self.match(r"<[^<>\n]{1,300}>", at):
            return at, self.balanced(at)
        scheme = self.match(HEADER if name.endswith(("auth", "authorization")) else SCHEME, at)
        bare = self.match(BARE, scheme.end() if scheme else at)
        return at, bare.end() if bare else at

    def closing(self, at: int, quote: str) -> int:
        """Where a quoted value ends; a shell's 'it'"'"'s' is one."""
        end = self.text.find(quote, at) if len(quote) > 1 else self.unescaped(at, quote)
        if end < 0:
            return self.line_end(at)
        more = self.match(r"[\"'\w]", end + len(quote)) if len(quote) == 1 else None
        if not more:
            return end
        if more[0] in "\"'":
            further = self.unescaped(more.end(), more[0])
            return further if further >= 0 else end
        bare = self.match(BARE, more.start())
        return bare.end() if bare else end

    def unescaped(self, at: int, quote: str) -> int:
        """Where the next such quote without a backslash is, or -1."""
        found = self.match(rf"[^{quote}\\]*(?:\\[\s\S][^{quote}\\]*)*{quote}", at)
        return found.end() - 1 if found else -1

    def rest(self, found: re.Match[str]) -> int:
        """The end of the line, or of the quoted text that the name begins: 'Cookie: a=b; c=d'."""
        line, quote = self.line_end(found.end()), self.text[max(0, found.start() - 1) : found.start()]
        end = self.text.find(quote, found.end(), line) if quote and quote in "\"'" else -1
        return end if end >= 0 else line

    def balanced(self, at: int) -> int:
        """The end of a value in brackets: (a, 'b)'), {"value": [1]}, Secret('x'), <Secret x>."""
        import re

        angle = self.match(r"<[^<>\n]{1,300}>", at)
        if angle:
            return angle.end()
        depth = 0
        signs = re.compile(r"[\[({})\]]|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'")
        for sign in signs.finditer(self.text, at) if not self.open else ():
            depth += (sign[0] in "[({") - (sign[0] in "])}")
            if not depth:
                return sign.end()
        self.open = True
        return self.line_end(at)

    def block(self, found: re.Match[str]) -> tuple[int, int]:
        """The deeper lines below ``password: |`` or ``passwords:``, where the name begins its line."""
        text, at = self.text, found.end()
        begin = text.rfind("\n", 0, found.start()) + 1
        before = text[begin : found.end("name")]
        indent = before[: len(before) - len(before.lstrip(" \t"))]
        first = end = self.line_end(at) + 1
        if len(before) > 200 or STATEMENTS & set(before.split()):  # `if token:` begins no block of YAML
            return at, at
        while end < len(text):
            line = text[end : self.line_end(end)]
            deeper = len(line) - len(line.lstrip(" \t")) > len(indent) or line.startswith(indent + "- ")
            if line.strip() and not deeper:
                break
            end = self.line_end(end) + 1
        body = text[first:end]
        lead, tail = len(body) - len(body.lstrip()), len(body) - len(body.rstrip())
        return (first + lead, min(end, len(text)) - tail) if body.strip() else (at, at)


# ---------------------------------------------------------------------------
# Values and arguments
# ---------------------------------------------------------------------------

DEPTH = 40  # containers further down are "..."


def masked(value: Any, name: str = "") -> Any:
    """The value with ``***`` for every secret in it, for writing: an object by its repr if that has one.

    Mappings, namespaces, named tuples and data classes become dictionaries; lists, tuples and sets
    stay what they are; a value within itself is "...". Never raises.
    """
    return _masked(value, name, {}, 0)


def _masked(value: Any, name: str, seen: dict[int, tuple[Any, Any]], depth: int) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if name and hides(name, value):
        return MASK
    if isinstance(value, (int, float, complex)):
        return value
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, (bytes, bytearray)):
        return mask(value.decode("latin-1")).encode("latin-1")
    if id(value) not in seen:
        seen[id(value)] = value, "..."  # what it says of itself further down
        try:
            seen[id(value)] = value, _masked_parts(value, seen, depth)
        except Exception:
            seen[id(value)] = value, _masked_repr(value)
    return seen[id(value)][1]


def _masked_parts(value: Any, seen: dict[int, tuple[Any, Any]], depth: int) -> Any:
    pairs = _pairs_of(value)
    if depth >= DEPTH and (pairs is not None or isinstance(value, (list, tuple, set, frozenset))):
        return "..."
    if pairs is not None:
        told = {key: (text := _text(key), _masked(one, text, seen, depth + 1))[1] for key, one in pairs}
        named = next((told[key] for key in ("name", "key") if isinstance(told.get(key), str)), "")
        if "value" in told and named and hides(named, told["value"]):  # {"name": "password", "value": X}
            told["value"] = MASK
        return {mask(key) if isinstance(key, str) else key: one for key, one in told.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = _masked_items(value, seen, depth + 1)
        kind = next(kind for kind in (list, tuple, set, frozenset) if isinstance(value, kind))
        return kind(items)
    text = os.fsdecode(value) if isinstance(value, os.PathLike) else ""
    return value if text and mask(text) == text else _masked_repr(value)


def _pairs_of(value: Any) -> list[tuple[Any, Any]] | None:
    """The named values of a mapping, namespace, named tuple or data class; None of others."""
    from _collections_abc import Mapping  # collections itself takes a millisecond to import

    kind = type(value)
    if isinstance(value, Mapping):
        return list(value.items())
    names = getattr(kind, "__dataclass_fields__", None) or (isinstance(value, tuple) and getattr(kind, "_fields", None))
    if not names and any(base.__name__ in ("Namespace", "SimpleNamespace") for base in kind.__mro__):
        names = vars(value)
    return [(name, getattr(value, name)) for name in names] if names and not isinstance(value, type) else None


def _masked_items(items: Iterable[Any], seen: dict[int, tuple[Any, Any]], depth: int) -> list[Any]:
    """The items of a list: what follows ``--password`` is masked, and the second of ``("password", "X")``."""
    result: list[Any] = []
    after = items[0] if isinstance(items, tuple) and len(items) == 2 and isinstance(items[0], str) else ""
    for number, item in enumerate(items):
        hidden = (number or not after) and after and not str(item).startswith("--") and hides(after, item)
        result.append(MASK if hidden else _masked(item, "", seen, depth))
        if not (number == 0 and after):
            after = item if isinstance(item, str) and item.startswith("-") and "=" not in item else ""
    return result


def _masked_repr(value: Any) -> Any:
    try:
        text = repr(value)
        return value if mask(text) == text else mask(text)
    except Exception:
        return f"<{type(value).__name__} without a repr>"


def _text(key: object) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)


_noted: set[str] = set()  # words of the command line that a parser knows to be secrets


def note_secrets(words: Iterable[str]) -> None:
    """Mask these words of the command line wherever it is recorded from now on: a parser knows what ``-p`` means."""
    _noted.update(filter(None, words))


def mask_arguments(argv: Sequence[str]) -> list[str]:
    """The arguments with ``***`` for secrets: ``--token X``, ``--password=X``, ``{api_key: X}``, URLs, noted words."""
    result, after, noted = [], "", _noted
    for argument in argv:
        name, equals, value = argument.partition("=")
        plain_name = equals and all(c.isalnum() or c in "-_.+@/" for c in name)
        if (after and not argument.startswith("--") and hides(after, argument)) or argument in noted:
            result.append(MASK)
        elif equals and ((plain_name and hides(name, value)) or value in noted):
            result.append(f"{name}={MASK}")
        else:
            text = mask(argument)
            result.append(_without_noted(f"{name}={mask(value)}" if text == argument and equals else text, noted))
        more = after and not argument.startswith("-") and after.endswith("s")  # --passwords X Y
        after = (
            argument if argument.startswith("-") and not equals and is_secret_name(argument) else after if more else ""
        )
    return result


def _without_noted(argument: str, noted: set[str]) -> str:
    """``-pX`` with ``***`` for an X that was noted."""
    short = argument.startswith("-") and not argument.startswith("--")
    ends = [word for word in tuple(noted) if short and word and argument.endswith(word)]
    return argument.removesuffix(max(ends, key=len)) + MASK if ends else argument


# ---------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------

# Never copied. * stands for anything; a pattern with / is for the end of the path.
SECRET_NAMES = _set(
    ".env .env.* *.env .envrc *.pem *.key *.p12 *.p8 *.pfx *.jks *.keystore *.kdbx *.ppk id_rsa* id_dsa* id_ecdsa*",
    "id_ed25519* deploy_key* .netrc _netrc .pgpass pgpass.conf .my.cnf .mylogin.cnf .pypirc .npmrc .htpasswd",
    ".git-credentials .dockercfg .dockerconfigjson .docker/config.json .kube/config kubeconfig *.kubeconfig .s3cfg",
    ".boto .databrickscfg rclone.conf .terraformrc *.tfvars *.tfvars.json *.tfstate .vault_pass* .vault-token *.ovpn",
    "credentials credentials.* .credentials* *credentials*.json application_default_credentials.json",
    "client_secret*.json gha-creds-*.json kaggle.json service-account*.json service_account*.json secret secret.*",
    "secrets secrets.* .secret .secrets* *.secret *.secrets *-secrets.y*ml token token.json token.txt *.token .*token",
    "auth.json cookies.txt cookies.json .aws/config .aws/credentials",
)
_BEGINS = tuple(name[:-1] for name in SECRET_NAMES if name.endswith("*"))
_ENDS = tuple(name[1:] for name in SECRET_NAMES if name.startswith("*") and "*" not in name[1:])
_PATTERNS = tuple(name for name in SECRET_NAMES if "*" in name[1:-1])
SECRET_FOLDERS = {".ssh", ".gnupg", ".aws", ".azure", ".gcloud", "gcloud", "secrets", ".secrets", ".password-store"}
NO_SECRETS = (".example", ".sample", ".template", ".dist", ".pub", ".py", ".pyc", ".md", ".rst")
DATA = {"", "json", "yaml", "yml", "txt", "toml", "ini", "cfg", "conf", "xml", "properties", "enc", "asc", "gpg"}
PEM = (".pem", ".key", ".crt")


def looks_secret(path: str, data: bytes | None = None) -> bool:
    """Whether a file is never copied because of its name; its content clears certificates and public keys."""
    *folders, name = path.lower().replace("\\", "/").split("/")
    if name.endswith(NO_SECRETS):
        return False
    if name.endswith(PEM) and data is not None and b"-----BEGIN " in data:
        return b"PRIVATE KEY" in data
    if SECRET_FOLDERS & set(folders):
        return True
    if name in SECRET_NAMES or "/".join([*folders[-1:], name]) in SECRET_NAMES:
        return True
    by_part = name.endswith(_ENDS) or name.startswith(_BEGINS)
    return by_part or any(_fits(name, pattern) for pattern in _PATTERNS) or _says_secret(name)


def why_secret(path: str, data: bytes | None = None) -> str:
    """Why a file of this name and content is left out of a record, "" if it is not.

    Of a text's content the first mebibyte is looked at; FOOTSTEPS_KEEP_SECRETS=1 keeps files whatever they hold.
    """
    if looks_secret(path, data):
        return "its name looks like a secret's"
    if data is None or os.environ.get(KEEP_VARIABLE, "0") not in ("", "0") or b"\0" in data[:8000]:
        return ""
    line = secret_line(data[: 1 << 20])
    return f"line {line} holds a token or a private key ({KEEP_VARIABLE}=1 would keep it)" if line else ""


def _says_secret(name: str) -> bool:
    """Whether a data file is named like a secret's value: db-password.txt, api_key, but not tokens.json."""
    stem, _, end = name.lstrip(".").partition(".")
    kind = _kind(stem)  # a vocabulary is called tokens, tokens.txt
    return end in DATA and (
        kind == "secret" or (kind == "measure" and _kind(stem.removesuffix("s")) == "secret" and "token" not in stem)
    )


def _fits(name: str, pattern: str) -> bool:
    """Whether a name is of a pattern with * for anything."""
    first, *rest = pattern.split("*")
    if not name.startswith(first) or not name.endswith(rest[-1]) or len(name) < len(pattern) - len(rest):
        return False
    at = len(first)
    for part in rest[:-1]:
        at = name.find(part, at)
        if at < 0:
            return False
        at += len(part)
    return at <= len(name) - len(rest[-1])
