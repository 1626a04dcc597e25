"""A text shows no secret of a log's line."""

import base64
import itertools
import random
import string
import time
import urllib.parse

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handler.line_search import LastLine, WordSearch
from handler.redaction import MASK, redact

# Secrets by their own form.
PLANTED = [
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "4f6b0e8f0c9d4b7a8e1c2d3f4a5b6c7d",
    "0x4F6B0E8F0C9D4B7A",
    "550e8400-e29b-41d4-a716-446655440000",
    "c2VjcmV0LXZhbHVlLW5vYm9keS1zaG91bGQtc2Vl",
    "dGhpcyBpcyBhIHNlY3JldA==",
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.c2ln",
    "ghp_abcdefghijkl",
    "xoxb-12-abc",
    "sk_live_abc123",
    "AIzaSyD-abc_defGHI",
    "a1:b2:c3:d4:e5:f6:a7:b8:c9:d0",
]

# Secrets only by their place, such as behind the name of a secret.
SHORT = ["hunter2", "p@ss,w;rd", "Tr0ub4dor&3", "s3cr3t!", "x/y?z=1", "ünï-cödé"]

NAMES = [
    "password", "PASSWORD", "DB_PASSWORD", "db.password", "Passwd", "pwd", "passphrase", "token",
    "access_token", "refreshToken", "secret", "clientSecret", "AWS_SECRET_ACCESS_KEY", "api_key",
    "apiKey", "x-api-key", "API key", "authorization", "Authorization", "private_key",
    "credentials", "cookie", "Set-Cookie", "session_id", "auth", "X-Auth", "signature",
    "accountKey",
]  # fmt: skip

PLACES = [
    "{name}={secret}", "{name}='{secret}'", '{name}="{secret}"', "{name}: {secret}",
    "{name}:{secret}", '"{name}":"{secret}"', '"{name}" : "{secret}"', "{{'{name}': '{secret}'}}",
    r"{{\"{name}\":\"{secret}\"}}", r"\\\"{name}\\\": \\\"{secret}\\\"",
    "{name} = {secret}",
    "{name} := {secret}", "{name} => {secret}", "--{name} {secret}", "<{name}>{secret}</{name}>",
    "{name} is {secret}", "{name} '{secret}'",
    "?{name}={secret}", "{name}%3D{secret}",
    "{name}: Bearer {secret}", "{name}=Bearer {secret}", '"{name}":["{secret}"]',
    "{name} for bob: {secret}", "{name}\t=\t{secret}",
]  # fmt: skip

ALONE = ["{secret}", "key {secret} of", "({secret})", "'{secret}'", "a={secret}", "id:{secret},x"]

IN_URLS = ["https://{secret}@host/x", "postgres://bob:{secret}@db:5432/a", "curl -u bob:{secret} x"]


def lines_with(line: str) -> list[str]:
    """Return short and long lines, with the secret before or after the searched word."""
    return [
        f"ERROR {line}",
        f"{line} ERROR",
        f"ERROR {line} and more",
        "x " * 3000 + f"{line} ERROR {line} " + "x " * 3000,
    ]


def texts(line: str) -> list[str]:
    """Return the excerpts of a line that could reach a text."""
    shown = []
    for whole in lines_with(line):
        searched, last = WordSearch(["ERROR"]), LastLine()
        for reader in (searched, last):
            reader.feed(f"begin\n{whole}\n".encode())
            shown.append(reader.result().line)
    return shown


def parts_of(secret: str) -> list[str]:
    """Return the parts of a secret that are enough to recognise it."""
    return [secret[start : start + 6] for start in range(0, max(1, len(secret) - 5), 3)]


def leaks(line: str, secret: str) -> list[str]:
    return [shown for shown in texts(line) if any(part in shown for part in parts_of(secret))]


@pytest.mark.parametrize("place", PLACES)
def test_a_value_behind_the_name_of_a_secret_is_masked(place: str) -> None:
    for name, secret in itertools.product(NAMES, [*SHORT, *PLANTED]):
        line = place.format(name=name, secret=secret)
        for whole in (line, f"ERROR {line} and more"):
            assert not any(part in redact(whole) for part in parts_of(secret)), whole


@pytest.mark.parametrize("place", [*ALONE, *IN_URLS])
@pytest.mark.parametrize("secret", PLANTED)
def test_a_secret_of_a_known_form_is_masked_anywhere(secret: str, place: str) -> None:
    assert leaks(place.format(secret=secret), secret) == []


@pytest.mark.parametrize("place", IN_URLS)
@pytest.mark.parametrize("secret", SHORT)
def test_credentials_in_a_url_are_masked(secret: str, place: str) -> None:
    secret = urllib.parse.quote(secret)
    assert leaks(place.format(secret=secret), secret) == []


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Basic Ym9iOmh1bnRlcjI=",
        "Bearer hunter2hunter2",
        "Cookie: theme=dark; sid=hunter2; x=hunter2",
        "cookie=a=b; sid=hunter2",
        "password: correct horse hunter2",
        'password="correct \\"horse hunter2"',
        "password = hunter2 hunter2",
        "-----BEGIN RSA PRIVATE KEY----- hunter2",
        "mysql --user bob --password hunter2",
        "PASSWORD='hunter2 hunter2' run",
        "pass\x1b[0mword=\x1b[31mhunter2",
        "p\0a\0s\0s\0w\0o\0r\0d\0=\0h\0u\0n\0t\0e\0r\x002\0",
        "\uff50\uff41\uff53\uff53word\uff1dhunter2",
        "pass\u00adword=hunter2",
        "CREATE USER bob IDENTIFIED BY 'hunter2'",
        "https://hooks.slack.com/services/hunter2/hunter2",
        "password=b'correct hunter2'",
        "token=Secret(value='correct hunter2')",
        "password=[correct, hunter2]",
        "pw=hunter2",
        "PHPSESSID=hunter2",
        "csrf=hunter2",
        "Ocp-Apim-Subscription-Key: hunter2",
        "x-functions-key: hunter2",
        '{"name":"DB_PASSWORD","value":"hunter2"}',
        '{"Name": "DB_PASSWORD", "Value": "hunter2"}',
        '<add key="password" value="hunter2"/>',
        "- name: DB_PASSWORD value: hunter2",
        "<name>db.password</name><value>hunter2</value>",
        '<password type="plain">hunter2</password>',
        "<ns:password type='plain'><![CDATA[hunter2]]></ns:password>",
        "[(b'x-api-key', b'hunter2')]",
        "{'password', 'correct hunter2'}",
        "&quot;password&quot;:&quot;correct hunter2&quot;",
        r"\u0022password\u0022:\u0022correct hunter2\u0022",
        r"password\u003dhunter2",
        "client_secret%22%3A%22hunter2%22",
        "password[new]=hunter2",
        "password != hunter2",
        "password='it''s hunter2'",
        'password="say ""hunter2"""',
        r"password=correct\ hunter2",
        "password=`echo hunter2`",
        "pass word: hunter2",
        "jdbc:oracle:thin:scott/hunter2@db:1521",
    ],
)
def test_a_secret_in_another_form_is_masked(line: str) -> None:
    assert leaks(line, "hunter2") == []


hexadecimal = st.text("0123456789abcdef", min_size=16, max_size=80)


@given(hexadecimal, st.sampled_from(ALONE))
def test_a_long_hexadecimal_run_is_masked(secret: str, place: str) -> None:
    for one in (secret, secret.upper()):
        assert one not in redact(place.format(secret=one))


@given(st.integers(0, 99), st.integers(24, 60), st.sampled_from(ALONE))
def test_a_long_base64_run_is_masked(seed: int, size: int, place: str) -> None:
    # Bytes drawn by hypothesis are often zeros, which look like no secret.
    secret = base64.b64encode(random.Random(seed).randbytes(size)).decode()
    for one in (secret, secret.rstrip("="), secret.replace("+", "-").replace("/", "_")):
        assert leaks(place.format(secret=one), one) == []


values = st.text(
    st.characters(codec="utf-8", exclude_characters="\"'\\", exclude_categories=("Z", "C", "M")),
    min_size=6,
    max_size=40,
).map(lambda text: "~" + text)


@given(st.sampled_from(NAMES), values, st.sampled_from(['{name}="{secret}"', "{name}: {secret}"]))
def test_any_value_behind_a_name_is_masked(name: str, secret: str, place: str) -> None:
    shown = redact("ERROR " + place.format(name=name, secret=secret))
    assert secret not in shown
    assert MASK in shown


@given(st.text(string.printable, max_size=300))
@example("password" * 1000)
@example("://a:" * 1700)
@example("eyJ-" * 2000)
@example("token:" * 1400)
@example('\\"' * 4000)
@example("password" + '"' * 4 + " " * 8000)
@example("secret for " + "x" * 8000)
@example("<password " * 800)
@example("password,," * 800)
@example('"password","' * 700)
@example("password&quot;" * 600)
@example('password="' + '""' * 4000)
def test_masking_takes_little_time_and_masks_nothing_twice(line: str) -> None:
    start = time.process_time()
    once = redact(line)
    assert time.process_time() - start < 2
    assert len(redact(once)) <= len(once)


@pytest.mark.parametrize(
    "line",
    [
        "2026-11-24T15:30:12.123Z ERROR payment gateway refused, status=502, 3 tries",
        "ERROR PaymentGatewayConnectionRefusedException at com.example.payments.Gateway",
        "ERROR /opt/app/releases/20241124/lib/python3.13/site-packages/Main.py:12",
        "passed: 12, failed: 3, author: Bob, authenticated: yes",
        "ERROR payment-gateway-service-7f9c5d8b6-x2x4z is down",
        "FATAL: UPSTREAM_CONNECTION_POOL_EXHAUSTED after 30000 ms",
        "https://example.com/a/b?page=2 answered 500",
        "Timeout of the token service, the password dialogue and the session store",
        "did not pass word count; tokens, values: 3; TokenService -> Store",
    ],
)
def test_an_ordinary_line_stays_as_it_is(line: str) -> None:
    assert redact(line) == line
