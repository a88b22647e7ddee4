"""What is never written: each form of a secret in each kind of text, and what must stay readable."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import string
import subprocess
import sys
import time
import types
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from footsteps.recorder import secrets
from footsteps.recorder.secrets import hides, is_secret_name, looks_secret, mask, mask_arguments, masked, secret_line

WORD = "hunter" + str(2)
LONG = "Ab3" * 20  # tokens are put together here, so that this file holds none
UPPER = "A2B3C4D5E6F7G2H3"
TOKENS = {
    **{f"github {kind}": f"gh{kind}_{LONG[:36]}" for kind in "pousr"},
    "github fine": "github_pat_" + LONG[:22] + "_" + LONG,
    **{f"gitlab {kind}": f"gl{kind}-{LONG[:20]}" for kind in ("pat", "dt", "rt")},
    "hugging face": "hf_" + "aBcDeFgHiJ" * 3,
    "openai": "sk-" + LONG[:48],
    "openai project": "sk-proj-" + LONG,
    "anthropic": "sk-ant-api03-" + LONG,
    **{f"slack {kind}": f"xox{kind}-123456789012-{LONG[:24]}" for kind in "abeoprs"},
    "slack app": "xapp-1-A0123-" + LONG[:40],
    "aws": "AKIA" + UPPER,
    "aws session": "ASIA" + UPPER,
    "google": "AIza" + LONG[:35],
    "google client": "GOCSPX-" + LONG[:28],
    "google access": "ya29." + LONG,
    "npm": "npm_" + LONG[:36],
    "pypi": "pypi-" + "AgEIcHlwaS5vcmc" + LONG,
    "stripe": "sk_live_" + LONG[:24],
    "stripe restricted": "rk_test_" + LONG[:24],
    "sendgrid": "SG." + LONG[:22] + "." + LONG[:43],
    "telegram": "123456789:AA" + LONG[:33],
    "jwt": "eyJ" + LONG[:30] + ".eyJ" + LONG[:30] + "." + LONG[:43],
}
KEY = "-----BEGIN {}PRIVATE KEY-----\nMII" + LONG + "\n" + LONG + "\n-----END {}PRIVATE KEY-----"
KEYS = [KEY.format(kind, kind) for kind in ("", "RSA ", "EC ", "OPENSSH ", "ENCRYPTED ")]

SECRET_NAMES = """
pass passwd password passphrase pwd pw secret token apikey auth authorization bearer cookie credential credentials
signature sig sas webhook dsn --password -token hf_token HF_TOKEN apiKey api-key X-Api-Key API_KEYS tokens passwords
secrets password1 password_2 token2 access_key aws_secret_access_key private_key account_key AccountKey wandb_api_key
wandb_key WANDB_API_KEY OPENAI_API_KEY SharedAccessKey dbpassword PGPASSWORD secretkey accesskey authtoken dbpass
userpass MYSQL_PWD passWord pass_word X-Amz-Signature X-Amz-Security-Token github_pat webhook_url session_cookie
proxyAuthorization client_secret clientSecret refresh_token id_token bot.token db.password2 smtp_pass SENTRY_DSN
use_auth_token encryption_key signing-key DB_PASS sas_token secret_value new_password
"""
ORDINARY_NAMES = """
tokenizer max_tokens keypoints pin_memory n_passes author authors sigma key_dim passes monkey keyboard compass
max_new_tokens num_tokens eos_token pad_token bos_token mask_token special_tokens loss_per_token tokens_per_batch
token_dim tokenizer_name key keys key_size num_keys sort_key public_key primary_key keypoint query_key_value hotkey
password_file token_count secret_santa path pattern patience patch passage bypass forward_pass backward_pass low_pass
n_pass design signal significance assign sass pwm authority oldpwd turkey lr seed epochs batch_size optimizer
cookiecutter secretary tokenization monkey_patch attention_key_bias train_tokens model_signature compression
"""

# %s stands for the secret.
TEXTS = [
    "https://u:%s@h", "https://u:%s@h/x.git", "https://%s@github.com/a/b", "git+https://u:%s@h/x@v1",
    "postgresql+psycopg2://u:%s@db.example.org:5432/x?sslmode=on", "redis://:%s@localhost:6379/0",
    "mongodb+srv://u:a/%s@h", "https://u:a#%s@h", "https://u:a?%s@h", "https://u:a %s@h", "https://u:a'%s@h",
    'https://u:a"%s@h', "https://u:%%2F%s@h", "u:%s@localhost", "u:%s@db.example.org:5432/x", "see u:%s@h.org for it",
    "https%%3A%%2F%%2Fu%%3A%s%%40h%%2Fx", "https://h/x?token=%s", "https://h/x?a=1&token=%s&b=2", "https://h/?sig=%s",
    "https://h/?Signature=%s", "https://h/?X-Amz-Signature=%s&x=1", "https://h/?key=%s", "https://h/?a=1&key=%s",
    "https://h/?pwd=%s", "https://h/?code=%s", "https://h/?auth=%s", "https://h/?access_token=%s#x",
    "x%%3Ftoken%%3D%s%%26n%%3D1",
    "AccountName=a;AccountKey=%s==;EndpointSuffix=core", "Server=h;Uid=u;Pwd=%s;", "host=h user=u password=%s dbname=x",
    "SharedAccessSignature=sr=%s", "Authorization: Bearer %s", "Authorization: Basic %s", "Authorization: ApiKey %s",
    "authorization=Token %s", 'Authorization: Digest username="u", response="%s"', "Bearer %s+more", "Cookie: %s",
    "Cookie: a=1; b=%s", "Set-Cookie: sid=%s; Path=/", "curl -H 'Cookie: a=%s' https://h", "X-Api-Key: %s",
    "{api_key: %s, seed: 3}", "{'password': '%s'}", '{"password": "%s"}', '{"password":"%s","n":1}',
    '{"a": "{\\"password\\": \\"%s\\"}"}', '{"password": "a\\"%s"}', "password=b'%s'", "{'token': b'%s'}",
    "password: |\n  %s\n  more\nlr: 1", "  password: >-\n    %s\n", "passwords:\n  - %s\n  - b\nlr: 1",
    "passwords:\n- %s\nlr: 1", "credentials:\n  user: a\n  value: %s\nlr: 1", "password: %s", "password = %s",
    "password := %s", "password => %s", "--password %s", "--password=%s", "train.py --password %s --lr 1",
    "--hf-token '%s b'", "machine h login u password %s", "machine h\n  login u\n  password %s\n",
    "<password>%s</password>", "<a:password x='1'>%s</a:password>", '<x password="%s"/>',
    '<add key="password" value="%s"/>', '{"name": "DB_PASSWORD", "value": "%s"}', "password=['%s']",
    "secret={'value': '%s'}", "credentials={'a': {'b': '%s'}, 'c': ')'}", "Config(password='%s', lr=1)",
    "Namespace(lr=1, api_key='%s')", "[('password', '%s')]", "(b'authorization', b'%s')", "['--password', '%s']",
    "api key: %s", "Incorrect API key: %s", "password=Secret('%s')", "auth=('u', '%s')",
    'os.environ["HF_TOKEN"] = "%s"',
    'password: str = "%s"', 'password = """%s"""', "password=hun,%s", "password=a&%s", "password=a;%s", "password=a)%s",
    "password='it'\"'\"'%s'", "password = 'a\\'%s'", "export PGPASSWORD=%s", "PGPASSWORD=%s psql",
    "&quot;token&quot;:&quot;%s&quot;",
    "{api_key:%s}", "+db={password:%s,port:1}", "password=%s\tlr=1", "token=%s\r\nlr=1", "x.password2=%s",
]  # fmt: skip
READABLE = [
    "", "a", "train.py", "--lr=0.1", "--tokenizer=bert", "max_tokens=100", "tokens: 1000", "tokens=2.5B", "sig=0.05",
    "https://github.com/a/b.git", "git@github.com:a/b.git", "ssh://git@github.com/a/b", "http://localhost:3000/@vite",
    "https://unpkg.com/react@18.2/umd", "mailto:bob@example.org", "python:3.11@sha256:abcdef", "C:/a/b@c", "a@b.c",
    "pkg:pypi/django@1.11", "at 12:30@Main", "token=None", "password: null", "--use-auth-token true",
    "--token", "password",
    "<eos_token>x</eos_token>", "Total tokens: 512, per token: 0.3", "task-classification-with-long-names-of-things",
    "disk_test_generalization", "mask-" + "abcdef0123" * 4, "keypoints: [1, 2]", "{'key_dim': 64, 'n_passes': 2}",
    "Namespace(lr=0.1, max_tokens=5, tokenizer='bert', author='Ada')", "sha256:" + "ab12" * 16, "--password --lr 1",
    "-----BEGIN CERTIFICATE-----\nMIIabc\n-----END CERTIFICATE-----", "2024-01-01T12:00:00", "a: b: c",
    "if token:\n  x()",
    "The password is asked for at the prompt.", "https://h/x?version=3&keypoints=2", "for key, value in pairs: pass",
    "['tokens', 'pos']", "Basic English text", "--pin-memory True --n-passes 3",
]  # fmt: skip
AROUND = [
    "{}",
    "a {} b",
    "x={}",
    "'{}'",
    '{{"a": "{}"}}',
    "https://h/{}/x",
    "pre_{}",
    "({}),",
    "a\n{}\nb",
    "b'{}'",
    "[{}]",
]


@pytest.mark.parametrize("name", SECRET_NAMES.split())
def test_a_name_says_that_it_holds_a_secret(name):
    """By its last word, split at case, digits and signs; plural, numbered, run together."""
    assert is_secret_name(name)
    assert mask(f"{name}={WORD}") == f"{name}=***"
    assert masked({name: {"deep": [WORD]}}) == {name: "***"}


@pytest.mark.parametrize("name", ORDINARY_NAMES.split())
def test_a_hyperparameter_keeps_its_value(name):
    """Words that only look like a secret's: masking them would spoil a record."""
    assert not is_secret_name(name)
    for text in (f"{name}=bert", f"--{name} bert", f"{name}: 'bert'", f"<{name}>bert</{name}>"):
        assert mask(text) == text
    assert masked({name: ["bert", 3]}) == {name: ["bert", 3]}
    assert mask_arguments([f"--{name}", "bert"]) == [f"--{name}", "bert"]


@pytest.mark.parametrize(
    ("name", "value", "hidden"),
    [
        ("password", 4711, True), ("password", True, False), ("password", None, False), ("password", "", False),
        ("password", [], False), ("tokens", 1000, False), ("tokens", "1e9", False), ("tokens", "x", True),
        ("sig", 0.05, False), ("sig", "abc", True), ("token", 4711, True), ("lr", "x", False), ("pw", ["X"], True),
    ],
)  # fmt: skip
def test_what_a_name_hides(name, value, hidden):
    """Numbers of a plural are counts; a flag or nothing is no secret."""
    assert hides(name, value) is hidden


@pytest.mark.parametrize("around", AROUND)
@pytest.mark.parametrize("token", [*TOKENS.values(), *KEYS], ids=[*TOKENS, *["key"] * len(KEYS)])
def test_a_token_is_masked_anywhere_in_a_text(token, around):
    """Not only as a word of its own; what stands around it stays."""
    text = around.format(token)
    assert token[-12:] not in mask(text)
    assert mask(text).startswith(around.split("{}")[0].replace("{{", "{").replace("pre_", "pre_"))
    assert mask_arguments([text])[0].count(token[-12:]) == 0


@pytest.mark.parametrize("text", TEXTS)
def test_a_secret_is_masked_in_every_usual_text(text):
    """URLs, headers, connection strings, JSON, YAML, XML, Python, shell, netrc."""
    text = text % WORD
    for whole in (text, f"ValueError: {text}", f"{text}\nnext=1", f"lr=0.1\n{text}"):
        assert WORD not in mask(whole), mask(whole)
        assert mask(mask(whole)) == mask(whole)
    assert WORD not in str(mask_arguments([text]))
    assert WORD not in repr(masked({"a": [text]}))


@pytest.mark.parametrize("text", READABLE)
def test_an_ordinary_text_stays_as_it_is(text):
    """Not one letter of it changes."""
    assert mask(text) == text
    assert mask_arguments([text]) == [text]


@pytest.mark.parametrize(
    "text",
    ["https://hooks.slack.com/services/T0/B0/" + WORD * 3, "https://discord.com/api/webhooks/12345/" + WORD * 3,
     "https://a.webhook.office.com/webhookb2/" + WORD * 3, "https://hooks.zapier.com/hooks/catch/1/" + WORD * 3],
)  # fmt: skip
def test_the_address_of_a_webhook_is_masked(text):
    """Who knows it can write there; whose it is may be seen."""
    assert WORD not in mask(text)
    assert mask(text).startswith("https://")


def test_what_follows_a_secret_stays():
    """Only the value goes."""
    assert mask('{"token": "X", "lr": 0.1}') == '{"token": "***", "lr": 0.1}'
    assert json.loads(mask(json.dumps({"password": 'a"b', "n": 1}))) == {"password": "***", "n": 1}
    assert mask("https://u:X@h/a?token=X&n=1#top") == "https://***@h/a?token=***&n=1#top"
    assert mask("password: |\n  X\n  Y\nlr: 3") == "password: |\n  ***\nlr: 3"
    assert mask("--password X --lr 1") == "--password *** --lr 1"


Pair = collections.namedtuple("Pair", "lr password")  # noqa: PYI024


@dataclasses.dataclass
class Config:
    """What a program configures itself with."""

    lr: float
    api_key: str


class Client:
    """An object that is known by its repr."""

    def __repr__(self):
        return f"Client('https://u:{WORD}@h', token='{WORD}')"


class Silent:
    """An object without a repr."""

    def __repr__(self):
        raise ValueError


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"headers": {"Authorization": f"Bearer {WORD}"}}, {"headers": {"Authorization": "***"}}),
        ({"args": argparse.Namespace(lr=1, password=WORD)}, {"args": {"lr": 1, "password": "***"}}),
        ([types.SimpleNamespace(token=WORD)], [{"token": "***"}]),
        (Pair(0.1, WORD), {"lr": 0.1, "password": "***"}),
        ((Config(0.1, WORD),), ({"lr": 0.1, "api_key": "***"},)),
        ({"password": [WORD], "x": 1}, {"password": "***", "x": 1}),
        ({"password": 4711}, {"password": "***"}),
        ({"secret": {"value": WORD}}, {"secret": "***"}),
        ({"a": {f"https://u:{WORD}@h"}}, {"a": {"https://***@h"}}),
        ({"argv": ["--password", WORD, "--lr", "1"]}, {"argv": ["--password", "***", "--lr", "1"]}),
        ([("password", WORD), ("lr", 1)], [("password", "***"), ("lr", 1)]),
        ({f"https://u:{WORD}@h": 1}, {"https://***@h": 1}),
        ({b"password": WORD.encode()}, {b"password": "***"}),
        ({"env": [{"name": "DB_PASSWORD", "value": WORD}]}, {"env": [{"name": "DB_PASSWORD", "value": "***"}]}),
        (b"password=" + WORD.encode(), b"password=***"),
        (Client(), "Client('https://***@h', token='***')"),
        (ValueError(f"https://u:{WORD}@h"), "ValueError('https://***@h')"),
        (Silent(), "<Silent without a repr>"),
        ({"lr": 0.1, "n": [1, None, True], "name": "bert"}, {"lr": 0.1, "n": [1, None, True], "name": "bert"}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_value_of_any_type_is_masked_at_any_depth(value, expected):
    """Mappings, namespaces, named tuples, sets, data classes, objects by their repr."""
    assert masked(value) == expected
    assert masked([[{"deep": value}]]) == [[{"deep": expected}]]


def test_a_value_within_itself_and_a_very_deep_one_end():
    """As do a hundred levels that each hold the next one twice."""
    whole = {"token": WORD}
    whole["self"] = whole
    assert WORD not in repr(masked(whole))
    deep = shared = {"password": WORD}
    for _ in range(3000):
        deep = [deep]
    for _ in range(100):
        shared = [shared, shared]
    assert WORD not in repr(masked([deep, 1]))
    masked(shared)


def test_arguments_are_masked(monkeypatch):
    """Options with their value behind or beside them, several values, noted words."""
    given = [
        "a.py",
        "--token",
        WORD,
        "--lr",
        "1",
        f"--pw={WORD} b",
        f"db.password={WORD}",
        f"-p{WORD}x",
        "--passwords",
        WORD,
        WORD,
    ]
    monkeypatch.setattr(secrets, "_noted", {f"{WORD}x"})
    done = mask_arguments(given)
    assert done == [
        "a.py",
        "--token",
        "***",
        "--lr",
        "1",
        "--pw=***",
        "db.password=***",
        "-p***",
        "--passwords",
        "***",
        "***",
    ]
    monkeypatch.setattr(secrets, "_noted", {WORD})
    assert mask_arguments(["--token", "--lr", "1", WORD]) == ["--token", "--lr", "1", "***"]


SECRET_FILES = """
.env .env.local prod.env .envrc client_secret_12.apps.json application_default_credentials.json token.json .aws/config
a/.aws/credentials .my.cnf secrets a/secrets deploy_key prod.tfvars db-secrets.yaml id_rsa key.pem .ssh/config
.docker/config.json .kube/config .npmrc .netrc credentials.json api_key.txt db-password.txt wandb_api_key .hf_token
secrets/db.txt github_token passwords.txt terraform.tfstate service-account-1.json
"""
ORDINARY_FILES = """
tokenizer.json tokens.json tokens.txt added_tokens.json special_tokens_map.json secrets.py tests/test_secrets.py
config.json
.env.example id_rsa.pub keypoints.csv train.py .aws/x.py aws/config monkey.txt pass.py docs/passwords.md environment.yml
keyboard.json a.pem.md model.safetensors author.txt
"""


@pytest.mark.parametrize("path", SECRET_FILES.split())
def test_a_file_named_like_a_secret_is_not_copied(path):
    """Wherever it lies."""
    assert looks_secret(path)
    assert looks_secret("some/where/" + path)


@pytest.mark.parametrize("path", ORDINARY_FILES.split())
def test_a_file_of_an_ordinary_name_is(path):
    """Vocabularies, sources, examples, public keys."""
    assert not looks_secret(path)


@pytest.mark.parametrize("kind", ["CERTIFICATE", "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE REQUEST"])
def test_a_certificate_is_no_secret(kind):
    """A PEM file is told by its content, where that is known."""
    data = f"-----BEGIN {kind}-----\nMII{LONG}\n-----END {kind}-----\n".encode()
    assert not looks_secret("ca.pem", data)
    assert secret_line(data) is None
    assert looks_secret("ca.pem", data + KEYS[0].encode())
    assert looks_secret("ca.pem", b"anything")


@pytest.mark.parametrize("token", [*TOKENS.values(), *KEYS], ids=[*TOKENS, *["key"] * len(KEYS)])
def test_a_file_that_holds_a_token_is_told_with_the_line(token):
    """Text or binary."""
    assert secret_line(f"a = 1\nb = 2\nc = '{token}'\n".encode()) == 3
    assert secret_line(b"\xff\x00\n" + token.encode() + b"\x00") == 2


@pytest.mark.parametrize(
    "data",
    [b"", b"a\n" * 100, b"\xff" * 1000, b"AKIA" + b"IOSFODNN7EXAMPLE", b"ghp_" + b"x" * 36, b"password = 'a'",
     b"if '-----BEGIN RSA PRIVATE KEY-----' in text:", b"sk-container-id-1 sk-toggleable__control"],
)  # fmt: skip
def test_a_file_without_a_token_is_kept(data):
    """Also one that speaks of tokens, and one with a placeholder."""
    assert secret_line(data) is None


def test_our_own_files_hold_no_token():
    """They can be recorded as anybody's code."""
    for file in (secrets.__file__, __file__):
        with open(file, "rb") as opened:
            assert secret_line(opened.read()) is None


TRICKS = [
    "a", " ", "password", "password=", "password='", 'password="\\"', "password=[", "password=(a",
    "password: |\n", "<password>",
    "<password ", "a:", "a:a@", "://", "://u:", "://u:@", "@", "eyJ", "eyJa.", "SG.",
    "-----BEGIN PRIVATE KEY-----", "BEGIN PRIVATE KEY",
    "token%3D", "--password ", "password:\n ", "password a", "login u ", "password,", "'password', ",
    "a.b-c_", "%3A%2F%2F",
    "\\", '\\"', 'password=\\\\\\"', "password=a,a", "Bearer ", "Basic a", "12345678:", "xoxb-", "sk-",
    "password='\\", "key ", "\n", "token=f(",
]  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("trick", TRICKS)
def test_the_time_is_linear(trick):
    """Eight times the text takes less than thirty times as long, not sixty-four."""

    def seconds(length):
        text, begin = (trick * (length // len(trick) + 1))[:length] + "\nkey", time.process_time()
        mask(text)
        secret_line(text.encode())
        return time.process_time() - begin

    seconds(1000)
    assert seconds(160_000) < 30 * max(seconds(20_000), 0.005)


def test_ordinary_words_import_nothing():
    """The masks run at the start of every program."""
    words = [
        "train.py",
        "--lr=0.1",
        "--tokenizer=bert",
        "--path=/a/b",
        "https://github.com/a/b.git",
        "git@github.com:a/b",
        "max_tokens=3",
    ]
    program = f"""
import sys
sys.path.append({secrets.__file__.rsplit("/", 3)[0]!r})
import footsteps
before = set(sys.modules)
from footsteps.recorder import secrets
assert secrets.mask_arguments({words}) == {words}
print(*set(sys.modules) - before)
"""
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not {"re", "typing", "dataclasses", "collections"} & set(done.stdout.split())


texts = st.text(
    st.sampled_from(string.ascii_letters + string.digits + " \n\t:=,;&?@/#%'\"\\{}[]()<>-_.*|") | st.characters(),
    max_size=60,
)
pieces = st.lists(st.sampled_from([*TEXTS, *TRICKS, "token", "***", "'", '"', "\n", " ", "="]) | texts, max_size=6).map(
    "".join
)


@given(pieces)
def test_masking_twice_is_masking_once(text):
    """What is masked stays as it is."""
    text = text.replace("%s", WORD)
    assert mask(mask(text)) == mask(text)


@given(texts, st.sampled_from([*TOKENS.values(), *KEYS]), texts)
def test_a_planted_token_never_survives(before, token, after):
    """Whatever stands around it; a sign that ends every token comes first."""
    for text in (f"{before} {token} {after}", f"{before}\n{token}\n{after}"):
        assert token not in mask(text)
        assert token not in str(mask_arguments([text]))
        assert token not in str(masked({"a": (text, {text: 1})}))


@given(texts, st.sampled_from(["password", "hf_token", "apiKey", "PGPASSWORD", "client-secret"]), texts)
def test_a_named_secret_never_survives(before, name, after):
    """As JSON, as an assignment and in a URL."""
    word = "S3cr" + WORD + "q"
    for text in (f"{name}={word}", f'"{name}": "{word}"', f"https://h/?{name}={word}", f"{name}: {word}"):
        assert word not in mask(f"{before}\n{text} {after}")


@given(
    st.integers() | st.floats(allow_nan=False) | st.text(string.ascii_letters, max_size=4) | st.booleans() | st.none()
)
def test_numbers_and_short_words_stay(value):
    """They are what most records hold."""
    assert masked(value) == value
    assert mask(str(value)) == str(value)
    assert mask_arguments([f"--lr={value}", str(value)]) == [f"--lr={value}", str(value)]


@pytest.mark.slow
@given(st.text(max_size=20).filter(lambda word: word.strip()))
def test_a_password_in_a_url_may_hold_any_sign(word):
    """Percent-encoded as it should be."""
    assert mask(f"https://ada:{urllib.parse.quote('S3' + word, safe='')}@example.org/x") == "https://***@example.org/x"


def test_detect_secrets_finds_nothing_in_what_is_masked():
    """Another program's rules agree."""
    pytest.importorskip("detect_secrets")
    from detect_secrets.core.scan import scan_line
    from detect_secrets.settings import default_settings

    with default_settings() as settings:
        settings.disable_plugins("Base64HighEntropyString", "HexHighEntropyString")
        for text in [*(text % WORD for text in TEXTS), *TOKENS.values(), *KEYS]:
            for line in mask(text).splitlines():
                assert all("***" in (found.secret_value or "***") for found in scan_line(line)), line
