"""A preview reports all mistakes in the settings at once, each with its remedy."""

import json
import logging
import re
import shlex
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints
from urllib.parse import unquote

import pulumi
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handler.environment import read_settings
from handler.routes import Route
from handler.text import PLACEHOLDERS
from infra import setting_reader
from infra import settings as program_settings
from infra.kinds import quoted
from infra.route_settings import field_kinds, path
from infra.setting_reader import Reader
from infra.settings import KINDS
from infra.settings import Settings as ProgramSettings
from local.program import PROJECT, SECRETS
from stack import ROOT
from tests.unit.examples import examples
from tests.unit.recorded import SETTINGS, record, record_anew

ACCOUNT = "AC" + "0" * 32
KEY = "SK" + "0" * 32
SERVICE = "MG" + "0" * 32
PHONE, OTHER_PHONE = "+15005550100", "+15005550101"
README = (ROOT / "README.md").read_text()
DEFAULTS = {
    key: setting["default"] for key, setting in PROJECT["config"].items() if "default" in setting
}

SET = "pulumi config set --stack test"

Load = Callable[..., None]
Warnings = Callable[..., list[str]]


def mistakes(**changes: str | None) -> list[str]:
    """Return the messages about settings with these changes; None removes a setting."""
    changed = {**SETTINGS, **changes}
    with pytest.raises(pulumi.RunError) as caught:
        record_anew({key: value for key, value in changed.items() if value is not None})
    shown = str(caught.value).split("\n\n", 1)[1]
    return [re.sub(r"\n +", " -> ", mistake.strip()) for mistake in re.split(r"\n(?=  \w)", shown)]


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Load:
    """A function that reads settings with these changes, and declares no resources."""
    path = tmp_path_factory.mktemp("program") / "__main__.py"
    path.write_text("from infra.settings import Settings\n\nSettings.load()\n")

    def load(*, secrets: frozenset[str] = SECRETS, **changes: str) -> None:
        record_anew({**SETTINGS, **changes}, secrets=secrets, path=path)

    return load


@pytest.fixture
def warnings(load: Load, caplog: pytest.LogCaptureFixture) -> Warnings:
    """A function that returns the warnings of a preview with these changes."""

    def warnings(**changes: Any) -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            load(**changes)
        return [one.getMessage() for one in caplog.records]

    return warnings


PHONES = "--secret toNumbers"
SENDER = "fromNumber"
API = "twilioApiUrl https://api.twilio.com"
MESSAGE = f"message '{DEFAULTS['message']}'"
NAMES = ", ".join(f"${name}" for name in PLACEHOLDERS)
SID = "hexadecimal digits"
NOT_PLAIN = "is not a plain address of host, port and path"
NOT_HTTPS = "is not an https address, and the secret must not travel in plain text"
NOT_E164 = "is not in E.164: a plus, then the country code"
NO_SENDER = (
    "is not a sender: a number in E.164 (a plus, then the country code), a short code of 3 to 8 "
    "digits, or a name of 1 to 11 letters, digits and spaces with at least one letter"
)
UMLAUT = "Ü is U+00DC LATIN CAPITAL LETTER U WITH DIAERESIS"
CHINESE = "日 is U+65E5 CJK UNIFIED IDEOGRAPH-65E5"
NO_PLUS = "lacks its plus, which YAML drops unless the value is in quotes"
SEPARATED = "…0101 is one of several phones, but no comma separates them"
NO_ZONE = "is not an IANA time zone, such as Europe/Berlin"
NO_HOURS = "is not of the form 22:00-07:00 or Mon-Fri 22:00-07:00, Sat-Sun 00:00-24:00"
NOT_EXPECTED = (
    "is not of the form by 06:30, Mon-Fri by 06:30, Mon,Thu by 23:00, every 6h or every 45m"
)
NO_SIZE = "is not of the form 1 kB or 10 MB"
NO_BUCKET = "is not a bucket's name, 3 to 63 lowercase letters, digits, periods and hyphens"
TWO_DOTS = "is not a bucket's name: it has two periods in a row, or is an IP address"
ADDRESS = "is an address: write only the part after the bucket's name"
WILDCARD = "has a wildcard, but S3 compares a filter literally"
ENCODED = "is URL-encoded: write the key as the S3 console shows it"
SPACE = "begins or ends with a space"
SLASH = "begins with a slash, but keys begin without one"
SUFFIXES = "lists several suffixes, but not separated by commas"
UNSEEN = "has an invisible character"
EMPTY_SUFFIX = "has a comma without a suffix on both sides of it"
NO_EMAIL = "is not one e-mail address, such as you@example.com"
MOST = "to 999999999"
NOT_ASCII = "is not printable ASCII: copy the secret from Twilio's console again"


def overlap(longer: str, shorter: str) -> str:
    return f"lists {longer}, which ends with {shorter}: S3 refuses filters that overlap"


# The changed settings, the message, and the words after `pulumi config set --stack test`.
MISTAKES: list[tuple[Mapping[str, str | None], str, str]] = [
    # SIDs
    (
        {"twilioAccountSid": KEY},
        f"…0000 is not the SID of an account, AC and 32 {SID}, but that of an API key",
        "twilioAccountSid",
    ),
    (
        {"twilioAccountSid": ACCOUNT[:-1]},
        f"…0000 is not the SID of an account, AC and 32 {SID}: it has 33 characters",
        "twilioAccountSid",
    ),
    (
        {"twilioAccountSid": f"\ufeff{ACCOUNT}"},
        f"…0000 is not the SID of an account, AC and 32 {SID}: it has 35 characters: "
        "U+FEFF ZERO WIDTH NO-BREAK SPACE",
        f"twilioAccountSid {ACCOUNT}",
    ),
    (
        {"twilioApiKeySid": ACCOUNT},
        f"…0000 is not the SID of an API key, SK and 32 {SID}, but that of an account",
        "twilioApiKeySid",
    ),
    (
        {"messagingServiceSid": "MG123", "fromNumber": ""},
        f"…G123 is not the SID of a Messaging Service, MG and 32 {SID}: it has 5 characters",
        "messagingServiceSid",
    ),
    # Required settings
    ({"twilioSecret": None}, "is not set", "--secret twilioSecret"),
    *(
        ({key: blank}, "is empty", remedy)
        for blank in ("", " ")
        for key, remedy in (
            ("twilioAccountSid", "twilioAccountSid"),
            ("twilioSecret", "--secret twilioSecret"),
        )
    ),
    *(
        ({"toNumbers": none}, "is empty, and there is no route with phones of its own", PHONES)
        for none in (None, "", " ")
    ),
    # Secret
    *(
        ({"twilioSecret": secret}, what, "--secret twilioSecret")
        for secret, what in (
            ("of two\nlines", "character 3 of 12 is a space or a line break"),
            ("its-end\n", "character 8 of 8 is a space or a line break"),
            ("\u2022" * 32, f"character 1 of 32 {NOT_ASCII}"),
            ("canary\u200bcanary", f"character 7 of 13 {NOT_ASCII}"),
            ("canary\x7f", f"character 7 of 7 {NOT_ASCII}"),
            ("s" * 3500, "has 3,500 characters, too many for a Twilio secret"),
            ("*" * 32, "is only stars or dots: the console shows these in place of the secret"),
            (KEY, "is the SID of an API key, not its secret"),
            ('"canary"', "is in quotes: remove them"),
        )
    ),
    # Address of Twilio
    *(
        ({"twilioApiUrl": url}, f'"{url}" {what}', remedy)
        for url, what, remedy in (
            ("https://host:99999", NOT_PLAIN, API),
            ("https://[::1", NOT_PLAIN, API),
            ("https://ho st", "has an invalid host", API),
            ("https://.twilio..com", "has an invalid host", API),
            ("https://a..b.com/", "has an invalid host", "twilioApiUrl https://a.b.com"),
            (
                "http://127.0.0.1:80/2010-04-01",
                "has the API's version, 2010-04-01, in it, but Twilio's client adds that",
                "twilioApiUrl http://127.0.0.1:80",
            ),
            ("http://example.com", NOT_HTTPS, "twilioApiUrl https://example.com"),
            ("example.com:8443/v1", NOT_HTTPS, "twilioApiUrl https://example.com:8443/v1"),
            ("https://www.twilio.com", "is not Twilio's API, which is at api.twilio.com", API),
            *(
                (
                    f"https://api.twilio.com{path}",
                    "has the API's version, 2010-04-01, in it, but Twilio's client adds that",
                    API,
                )
                for path in ("/2010-04-01", "/2010-04-01/Accounts")
            ),
            (
                "https://example.com/laml/2010-04-01",
                "has the API's version, 2010-04-01, in it, but Twilio's client adds that",
                "twilioApiUrl https://example.com/laml",
            ),
        )
    ),
    ({"twilioApiUrl": f"https://{'a' * 64}.com"}, '"https://…aaaa.com" has an invalid host', API),
    (
        {"twilioApiUrl": f"https://{'a.' * 126}com"},
        f'"https://{"a." * 16}…{".a" * 8}.com" has an invalid host',
        API,
    ),
    *(
        ({"twilioApiUrl": url}, what, "twilioApiUrl https://example.com")
        for url, what in (
            ("https://example.com/?token=canary", f'"https://example.com/?…" {NOT_PLAIN}'),
            ("https://user:password@example.com", f'"https://…@example.com" {NOT_HTTPS}'),
            ("user:password@example.com", f'"…@example.com" {NOT_HTTPS}'),
        )
    ),
    *(
        ({"twilioApiUrl": value}, f"{shown} {NOT_HTTPS}", API)
        for value, shown in (
            ("user:pass/word@example.com", '"…@example.com"'),
            ("quoted", '"quoted"'),
            (ACCOUNT, f'"{ACCOUNT}"'),
            ("canary0123456789canary0123456789", '"…6789"'),
        )
    ),
    (
        {"twilioApiUrl": "https://api.twilio.com\u200b"},
        '"https://api.twilio.com\\u200b" has an invalid host: U+200B ZERO WIDTH SPACE',
        API,
    ),
    # Sender
    ({"fromNumber": "015551234567"}, f"…4567 {NOT_E164}", SENDER),
    ({"fromNumber": "15005550106"}, f"…0106 {NO_PLUS}", SENDER),
    ({"fromNumber": "0015005550106"}, "…0106 begins with 00 in place of a plus", SENDER),
    ({"fromNumber": "12"}, f'"12" {NO_SENDER}', SENDER),
    ({"fromNumber": "A name that is long"}, f'"A name that is long" {NO_SENDER}', SENDER),
    ({"fromNumber": "Ünï"}, f'"Ünï" {NO_SENDER}: {UMLAUT}', "fromNumber Uni"),
    ({"fromNumber": "日志 S3"}, f'"日志 S3" {NO_SENDER}: {CHINESE}', SENDER),
    ({"fromNumber": "S3-Logs"}, f'"S3-Logs" {NO_SENDER}', "fromNumber 'S3 Logs'"),
    (
        {"fromNumber": SERVICE},
        f'"{SERVICE}" is the SID of a Messaging Service, not a sender',
        SENDER,
    ),
    ({"fromNumber": ""}, "is not set, and neither is messagingServiceSid", SENDER),
    ({"fromNumber": " "}, "is not set, and neither is messagingServiceSid", SENDER),
    # Phones
    ({"toNumbers": f"{PHONE},15005550101"}, f"…0101 {NO_PLUS}", PHONES),
    ({"toNumbers": "5550101"}, f"…0101 {NO_PLUS}", PHONES),
    ({"toNumbers": "abc"}, f"…abc {NOT_E164}", PHONES),
    (
        {"toNumbers": "+1\uff15\uff10\uff105550100"},
        "…0100 has characters other than a plus and digits: \uff15 is U+FF15 FULLWIDTH DIGIT FIVE",
        PHONES,
    ),
    (
        {"toNumbers": '["+15005550100"]'},
        "…0100 has characters other than a plus and digits",
        PHONES,
    ),
    (
        {"toNumbers": "+1 (500) 555-0100"},
        "…0100 has characters other than a plus and digits",
        PHONES,
    ),
    (
        {"toNumbers": "+1500555010000000"},
        "…0000 has 16 digits, but a number has 15 at most",
        PHONES,
    ),
    ({"toNumbers": " , "}, '"," names no phone', PHONES),
    ({"toNumbers": f"{PHONE}, {PHONE}"}, "names …0100 twice", PHONES),
    *(
        ({"toNumbers": f"{PHONE}{separator}{OTHER_PHONE}"}, SEPARATED, PHONES)
        for separator in (
            ";",
            "; ",
            " ",
            "\n",
            "/",
            "|",
            "",
            ":",
            " and ",
            " & ",
            "\uff0c",
            "\u3001",
            "\uff1b",
        )
    ),
    ({"toNumbers": "15005550100 15005550101"}, SEPARATED, PHONES),
    (
        {"toNumbers": f"{PHONE},+15005550006"},
        "names …0006, which is fromNumber: Twilio refuses a text from a number to itself "
        "(error 21266)",
        PHONES,
    ),
    # Bucket
    *(
        ({"existingBucket": value}, f'"{value}" {what}', f"existingBucket {meant}".rstrip())
        for value, what, meant in (
            ("a..b", TWO_DOTS, "a.b"),
            ("192.168.5.4", TWO_DOTS, ""),
            ("s3://their-logs", NO_BUCKET, "their-logs"),
            ("s3://their-logs/app/", NO_BUCKET, "their-logs"),
            ("arn:aws:s3:::their-logs", NO_BUCKET, "their-logs"),
            ("arn:aws-cn:s3:::their-logs/*", NO_BUCKET, "their-logs"),
            ("https://their-logs.s3.eu-central-1.amazonaws.com", NO_BUCKET, "their-logs"),
            ("https://s3.amazonaws.com/their-logs/", NO_BUCKET, "their-logs"),
            ("their-logs/", NO_BUCKET, "their-logs"),
            ("Their-Logs", NO_BUCKET, "their-logs"),
            ("s3://", NO_BUCKET, ""),
            ("no", NO_BUCKET, ""),
            ("xn--logs", "begins with a prefix that AWS reserves", ""),
            (
                "logs--use1-az4--x-s3",
                "is an access point or the like, not a bucket that reports its uploads to "
                "EventBridge",
                "",
            ),
        )
    ),
    # Filters
    *(
        ({"filterPrefix": value}, f"{quoted(value)} {what}", f"filterPrefix {meant}".rstrip())
        for value, what, meant in (
            ("app/*", WILDCARD, "app/"),
            ("*", WILDCARD, "''"),
            ("app/*/web", WILDCARD, "app/"),
            ("'app/'", "is in quotes: remove them", "app/"),
            ("schema%3D1/", ENCODED, "schema=1/"),
            ("schema%253D1/", ENCODED, "schema=1/"),
            ("my%20logs/", ENCODED, "'my logs/'"),
            ("s3://bucket/logs/", ADDRESS, "logs/"),
            ("s3://bucket", ADDRESS, "''"),
            ("S3://bucket/logs/", ADDRESS, "logs/"),
            ("https://s3.eu-central-1.amazonaws.com/bucket/logs/", ADDRESS, "logs/"),
            ("https://bucket.s3.amazonaws.com/logs/", ADDRESS, "logs/"),
            ("bucket.s3.cn-north-1.amazonaws.com.cn/logs/", ADDRESS, "logs/"),
            ("https://example.com/logs/", ADDRESS, ""),
            ("%FFlogs/", ENCODED, ""),
            ("arn:aws:s3:::bucket/logs/*", ADDRESS, "logs/"),
            ("/logs/", SLASH, "logs/"),
            ("./logs/", SLASH, "logs/"),
            (" logs/", SPACE, "logs/"),
            ("logs/ ", SPACE, "logs/"),
            ('["app/"]', "is a list, but must be one text", "app/"),
            ("app/,db/", "lists several prefixes, but S3 accepts one", "app/"),
        )
    ),
    (
        {"filterPrefix": "x/" * 1000},
        f'"{"x/" * 20}…{"x/" * 10}" has 2,000 bytes, but a key has 1,024 at most',
        "filterPrefix",
    ),
    (
        {"filterPrefix": "漢" * 400},
        f'"{"漢" * 40}…{"漢" * 20}" has 1,200 bytes, but a key has 1,024 at most',
        "filterPrefix",
    ),
    ({"filterPrefix": "\ufefflogs/"}, f'"\\ufefflogs/" {UNSEEN}', "filterPrefix logs/"),
    *(
        ({"filterSuffix": value}, f"{quoted(value)} {what}", f"filterSuffix {meant}")
        for value, what, meant in (
            ("*.log", WILDCARD, ".log"),
            ("*", WILDCARD, ".log"),
            ("app/*.txt", WILDCARD, ".txt"),
            ('".txt"', "is in quotes: remove them", ".txt"),
            ("-app.log*", WILDCARD, "-- -app.log"),
            (".log ", SPACE, ".log"),
            (".txt|.log", SUFFIXES, ".txt,.log"),
            (".txt;.log", SUFFIXES, ".txt,.log"),
            (".txt, .log", SPACE, ".txt,.log"),
            (".{txt,log}", SUFFIXES, ".log"),
            ("*.log,*.log.gz", WILDCARD, ".log,.log.gz"),
            (".log,", EMPTY_SUFFIX, ".log"),
            (",", EMPTY_SUFFIX, ".log"),
            (".log,.log", "names .log twice", ".log"),
            (".log.gz,.txt,.gz", overlap(".log.gz", ".gz"), ".txt,.gz"),
            (".gz,.log.gz", overlap(".log.gz", ".gz"), ".gz"),
            ("*.log.gz,.gz", WILDCARD, ".gz"),
            ("%2Elog", ENCODED, ".log"),
            (r"\.txt$", "is a regular expression, but S3 compares a filter literally", ".txt"),
            ('[".txt", ".log"]', "is a list, but must be one text", ".txt,.log"),
            (".txt/", "ends with a slash: that is a folder, not a log", ".txt"),
        )
    ),
    ({"filterSuffix": ".txt\n"}, f'".txt\\n" {UNSEEN}', "filterSuffix .txt"),
    *(
        (
            {"filterSuffix": f".txt{unseen}"},
            f'".txt{ascii(unseen)[1:-1]}" {UNSEEN}',
            "filterSuffix .txt",
        )
        for unseen in ("\u200b", "\u200e", "\u202a", "\u2069", "\u00ad", "\x85")
    ),
    (
        {"existingBucket": "their-logs", "filterPrefix": "é" * 400},
        f'"{"é" * 40}…{"é" * 20}" makes a pattern of 2,538 characters, but EventBridge '
        "accepts 2,048 with existingBucket",
        "filterPrefix",
    ),
    # Message
    (
        {"message": "New: $file in $bucket"},
        f'"New: $file in $bucket" uses $file, but there are only {NAMES}',
        MESSAGE,
    ),
    (
        {"message": "New: $Key, ${sise}"},
        f'"New: $Key, ${{sise}}" uses $Key, $sise, but there are only {NAMES}',
        "message 'New: $key, ${size}'",
    ),
    (
        {"message": "$name costs 5$"},
        f'"$name costs 5$" has a $ without a name: write $$, or one of {NAMES}',
        "message '$name costs 5$$'",
    ),
    ({"message": " "}, '" " is empty', MESSAGE),
    (
        {"message": "x " * 251},
        f'"{"x " * 20}…{"x " * 10}" has 502 bytes, but 500 are allowed',
        MESSAGE,
    ),
    # Words of `contains`
    (
        {"contains": 'ERROR, "FATAL'},
        "'ERROR, \"FATAL' has a quote that is not closed, or text behind one",
        "contains 'ERROR, FATAL'",
    ),
    ({"contains": "ERROR,,FATAL,"}, '"ERROR,,FATAL," has an empty word', "contains 'ERROR, FATAL'"),
    (
        {"contains": "ERROR\nFATAL"},
        r'"ERROR\nFATAL" has a line break, but is searched for in each line',
        "contains 'ERROR, FATAL'",
    ),
    (
        {"contains": '["ERROR", "FATAL"]'},
        '\'["ERROR", "FATAL"]\' has a quote that is not closed, or text behind one',
        "contains 'ERROR, FATAL'",
    ),
    (
        {"contains": "x-" * 251},
        f'"{"x-" * 20}…{"x-" * 10}" has 502 bytes, but 500 are allowed',
        "contains",
    ),
    # Times
    *(
        ({"timezone": zone}, f'"{zone}" {NO_ZONE}', f"timezone {meant}")
        for zone, meant in (
            ("Berlin", "Europe/Berlin"),
            ("europe/berlin", "Europe/Berlin"),
            ("America/New York", "America/New_York"),
            *((zone, "UTC") for zone in ("", "../etc/passwd", "localtime", "GMT+25", "Europe/")),
        )
    ),
    ({"quietHours": "22-7"}, f'"22-7" {NO_HOURS}', "quietHours 22:00-07:00"),
    ({"quietHours": "23:30 - 6:15"}, f'"23:30 - 6:15" {NO_HOURS}', "quietHours 23:30-06:15"),
    ({"quietHours": "None"}, f'"None" {NO_HOURS}', "quietHours ''"),
    *(
        ({"quietHours": value}, f'"{value}" {NO_HOURS}', f"quietHours {meant}".rstrip())
        for value, meant in (
            ("mon-fri 22-7", "'Mon-Fri 22:00-07:00'"),
            ("Monday-Friday 22:00-07:00", "'Mon-Fri 22:00-07:00'"),
            (
                "weekdays 22:00-7:00; weekend 0-24",
                "'Mon-Fri 22:00-07:00, Sat-Sun 00:00-24:00'",
            ),
            ("Mon & Thu: 12h30 - 13.00", "'Mon,Thu 12:30-13:00'"),
            ("Mon-Fri", ""),
            ("Mon-Fri 22:00-07:00 Sat 00:00-24:00", ""),
            ("Mop 22:00-07:00", ""),
            ("Mon 22:00-25:00", ""),
        )
    ),
    ({"quietHours": "at night"}, f'"at night" {NO_HOURS}', "quietHours"),
    ({"quietHours": "07:00-07:00"}, f'"07:00-07:00" {NO_HOURS}', "quietHours"),
    (
        {"quietHours": "07:00-0\uff17:00"},
        f'"07:00-0\uff17:00" {NO_HOURS}: \uff17 is U+FF17 FULLWIDTH DIGIT SEVEN',
        "quietHours",
    ),
    (
        {"quietHours": "\u0662\u0663:00\u201307:00"},
        f'"\u0662\u0663:00\u201307:00" {NO_HOURS}: \u0662 is U+0662 ARABIC-INDIC DIGIT TWO',
        "quietHours 23:00-07:00",
    ),
    (
        {"quietHours": "22:00-07:00", "flushMinutes": "901"},
        '"901" is longer than the longest time outside quietHours (900 minutes), so every flush '
        "may fall into quiet hours",
        "flushMinutes 5",
    ),
    (
        {"quietHours": "00:00-23:59"},
        '"00:00-23:59" leaves too little time for a flush: flushMinutes is longer than the longest '
        "time outside quietHours (1 minute), so every flush may fall into quiet hours",
        "quietHours",
    ),
    # Expected logs
    *(
        ({"expect": value}, f'"{value}" {what}', f"expect '{meant}'" if meant else "expect")
        for value, what, meant in (
            ("06:30", NOT_EXPECTED, "by 06:30"),
            ("By 6:30", NOT_EXPECTED, "by 06:30"),
            ("daily at 6:30", NOT_EXPECTED, "by 06:30"),
            ("mon-fri by 06.30", NOT_EXPECTED, "Mon-Fri by 06:30"),
            ("mon, thu by 23:00", NOT_EXPECTED, "Mon,Thu by 23:00"),
            ("Mon-Fry by 06:30", NOT_EXPECTED, ""),
            ("by 24:00", NOT_EXPECTED, ""),
            ("6h", NOT_EXPECTED, "every 6h"),
            ("every 6 hours", NOT_EXPECTED, "every 6h"),
            ("every 45min", NOT_EXPECTED, "every 45m"),
            ("every 2 days", NOT_EXPECTED, "every 48h"),
            ("every 0h", NOT_EXPECTED, ""),
            ("every 169h", "is longer than a week", ""),
            ("2 weeks", NOT_EXPECTED, ""),
            ("1 week", NOT_EXPECTED, "every 168h"),
            ("every 1 month", NOT_EXPECTED, ""),
            ("every 30s", NOT_EXPECTED, ""),
            ("in the morning", NOT_EXPECTED, ""),
        )
    ),
    (
        {"expect": "every 9m"},
        '"every 9m" is shorter than twice flushMinutes, 10 minutes',
        "expect",
    ),
    (
        {"expect": "every 45m", "flushMinutes": "23"},
        '"23" is too long for expect: every 45m is shorter than twice flushMinutes, 46 minutes',
        "flushMinutes 5",
    ),
    (
        {"expect": "by 06:30", "flushMinutes": "721"},
        '"721" is too long for expect: by 06:30 is shorter than twice flushMinutes, 1442 minutes',
        "flushMinutes 5",
    ),
    *(
        ({"atLeast": value, "expect": "by 06:30"}, f'"{value}" {NO_SIZE}', meant)
        for value, meant in (
            ("1000", "atLeast '1000 B'"),
            ("1kib", "atLeast '1 kB'"),
            ("10 mb", "atLeast '10 MB'"),
            ("0 kB", "atLeast"),
            ("big", "atLeast"),
        )
    ),
    # Numbers, choices, addresses
    *(
        ({key: value}, f'"{value}" is not a whole number {limits}', f"{key} {meant}")
        for key, value, limits, meant in (
            ("expireLogsAfterDays", "-1", f"from 0 {MOST}", "0"),
            ("flushMinutes", "0", "from 1 to 1440", "5"),
            ("flushMinutes", "1441", "from 1 to 1440", "5"),
            ("flushMinutes", "1.5", "from 1 to 1440", "5"),
            ("flushMinutes", "10m", "from 1 to 1440", "10"),
            ("flushMinutes", "1 hour", "from 1 to 1440", "60"),
            ("flushMinutes", "30 s", "from 1 to 1440", "5"),
            ("expireLogsAfterDays", "2 weeks", f"from 0 {MOST}", "14"),
            ("expireLogsAfterDays", "1 month", f"from 0 {MOST}", "0"),
            ("maxTextsPerHour", "1,000", f"from 1 {MOST}", "1000"),
            ("maxTextsPerHour", "1h", f"from 1 {MOST}", "30"),
            ("maxTextsPerHour", "many", f"from 1 {MOST}", "30"),
            ("maxTextsPerHour", "", f"from 1 {MOST}", "30"),
            ("maxTextsPerHour", "10.0", f"from 1 {MOST}", "10"),
            ("maxSegmentsPerDay", "0", f"from 1 {MOST}", "1000"),
        )
    ),
    (
        {"maxTextsPerHour": "1\uff10"},
        f'"1\uff10" is not a whole number from 1 {MOST}: \uff10 is U+FF10 FULLWIDTH DIGIT ZERO',
        "maxTextsPerHour 10",
    ),
    ({"mode": "instantly"}, '"instantly" is neither instant nor digest', "mode instant"),
    ({"mode": "Digest"}, '"Digest" is neither instant nor digest', "mode digest"),
    ({"mode": ""}, '"" is neither instant nor digest', "mode instant"),
    ({"protectBucket": "yes"}, '"yes" is neither true nor false', "protectBucket true"),
    ({"forceDestroy": "No"}, '"No" is neither true nor false', "forceDestroy false"),
    ({"forceDestroy": "maybe"}, '"maybe" is neither true nor false', "forceDestroy false"),
    *(
        ({"alarmEmail": value}, f'"{value}" {what}', f"alarmEmail {meant}".rstrip())
        for value, what, meant in (
            ("a@b..com", NO_EMAIL, "a@b.com"),
            ("a..b@example.com", NO_EMAIL, "a.b@example.com"),
            ("a@example.com.", NO_EMAIL, "a@example.com"),
            ("mailto:a@example.com", NO_EMAIL, "a@example.com"),
            ("Me <a@example.com>", NO_EMAIL, "a@example.com"),
            ("nobody", NO_EMAIL, ""),
            (
                "a@example.com, b@example.com",
                "has several e-mail addresses, but only one can get the alarms",
                "a@example.com",
            ),
        )
    ),
]


@pytest.mark.parametrize(("changes", "what", "remedy"), MISTAKES, ids=repr)
def test_a_mistake_has_one_message_with_its_remedy(
    changes: Mapping[str, str | None], what: str, remedy: str
) -> None:
    key = remedy.removeprefix("--secret ").split()[0]
    assert mistakes(**changes) == [f"{key}: {what}. -> {SET} {remedy}"]


def test_a_number_and_a_messaging_service_exclude_each_other() -> None:
    assert mistakes(messagingServiceSid=SERVICE) == [
        "fromNumber: …0006 is set, and messagingServiceSid too: keep one of them. "
        "-> pulumi config rm --stack test fromNumber"
    ]


def test_all_mistakes_are_reported_at_once() -> None:
    shown = mistakes(
        twilioAccountSid="SK1",
        toNumbers="5551234",
        filterSuffix="*",
        timezone="Mars",
        quietHours="00:00-23:59",
        colour="red",
    )
    assert [mistake.split(":")[0] for mistake in shown] == [
        "twilioAccountSid",
        "toNumbers",
        "filterSuffix",
        "timezone",
        "quietHours",
        "colour",
    ]


def test_the_readme_shows_the_programs_messages() -> None:
    with pytest.raises(pulumi.RunError) as caught:
        record_anew(
            {
                **SETTINGS,
                "twilioAccountSid": KEY,
                "toNumbers": "15557654321",
                "existingBucket": "s3://their-logs",
                "maxTextPerHour": "10",
            },
            stack_name="dev",
        )
    assert f"$ pulumi preview\n{caught.value}\n```\n" in README


def test_no_message_shows_a_whole_number_or_a_secret() -> None:
    shown = " ".join(
        mistakes(
            fromNumber="15005550177",
            toNumbers="15005550199,+15005550188;+15005550188,15005550199",
            twilioAccountSid="canary-token-0123456789",
            twilioSecret="canary\u2022token",
            twilioAuthToken="canary-auth-token",
            twilioSecrt="canary-secret-in-the-open",
            fromNumbr="+15005550166",
            quietHours="canary0123456789canary0123456789",
            mesage="canary0123456789canary0123456789",
            toNumber="+15005550155",
        )
    )
    assert "550" not in shown
    assert "canary" not in shown


def test_an_encrypted_value_is_shown_in_no_message_and_asked_for_anew() -> None:
    with pytest.raises(pulumi.RunError) as caught:
        record_anew(
            {
                **SETTINGS,
                "alarmEmail": "canary@b..com",
                "mesage": "canary $key",
                "fromNumber": "canary!",
            },
            secrets=SECRETS | {"alarmEmail", "mesage", "fromNumber"},
        )
    assert "canary" not in str(caught.value)
    assert f"\n    {SET} --secret alarmEmail\n" in str(caught.value)
    assert str(caught.value).endswith(f"\n    {SET} --secret message")


ANY = st.one_of(
    st.text(max_size=20),
    st.text(alphabet="0123456789.:-/@%*,;|$ s3ac\ufeff\u200b\uff11", max_size=20),
)

PRIVATE = (
    "+1 500 555 0199",
    "+1 (500) 555-0199",
    "+1.500.555.0199",
    "1-500-555-0199",
    "500 555 0199",
    "15005550199",
    "\uff0b\uff11\uff15\uff10\uff10\uff15\uff15\uff15\uff10\uff11\uff19\uff19",
    "0123456789abcdef0123456789abcdef",
    "canary0123456789canary0123456789canary0123456789",
)
"""Phones as people type them, and secrets."""

WRONG = (
    *(
        "",
        " ",
        "\n",
        "'",
        '"quoted"',
        "`a`",
        "$(date)",
        "a; b",
        "-1",
        "-x",
        "0",
        "1.5",
        "1e3",
        "x" * 3000,
    ),
    *("9" * 9, "9" * 40, "10 parsecs", "1 month", "2 weeks", "1,000", "10 MB", "5m", "6 h", "none"),
    *(
        "\u0661\u0662",
        "\uff11\uff12",
        '["a", "b"]',
        "['a']",
        "[]",
        "{}",
        '{"a": 1}',
        "null",
        "*",
        "/",
    ),
    *(
        "a, b",
        "a;b",
        "a\tb",
        "\u200b",
        "\u202e",
        "http://a",
        "https://a.b/?c",
        "a@b",
        "%2A",
        "$x",
        "%",
    ),
    *(
        ACCOUNT,
        KEY,
        SERVICE,
        *PRIVATE,
        *(f"app/{one}/" for one in PRIVATE if not one[0].isdigit()),
        *map(json.dumps, PRIVATE),
    ),
)
"""Values that are wrong for most settings."""

EVERY_KIND = {
    **{key: kind for key, kind in KINDS.items() if key != "routes"},
    **{path(0, field): kind for field, kind in field_kinds(KINDS).items()},
}
"""The kind of each setting, and of each field of a route."""


class OneSetting(pulumi.Config):
    """A stack's configuration with one setting."""

    def __init__(self, value: str) -> None:
        super().__init__("s3-logs")
        self._value = value

    def get(  # type: ignore[override]  # the program uses only this overload
        self, key: str, default: str | None = None
    ) -> str | None:
        return self._value


def message_about(key: str, value: str) -> str:
    """Return the message about one setting; "" for a right one."""
    read = Reader(OneSetting(value), {key: EVERY_KIND[key]})
    try:
        read.raise_mistakes()
    except pulumi.RunError as error:
        return str(error).split("\n\n", 1)[1]
    return ""


@given(
    key=st.sampled_from(sorted(EVERY_KIND)),
    value=ANY | st.sampled_from(WRONG) | st.sampled_from(PRIVATE).map("x {},x".format),
)
@examples(500)
def test_any_mistake_shows_its_value_its_rule_and_a_command_that_is_safe_to_paste(
    key: str, value: str
) -> None:
    check_message(key, value)


@pytest.mark.parametrize("key", EVERY_KIND)
def test_each_setting_explains_the_usual_mistakes(key: str) -> None:
    for value in WRONG:
        check_message(key, value)


def check_message(key: str, value: str) -> None:
    if not (message := message_about(key, value)):
        return
    kind = EVERY_KIND[key]
    text = value.strip() if kind.stripped else value
    said, command = message.split("\n    ")
    shown = kind.show(text) if text.strip() or not kind.required else ""
    assert said.startswith(f"  {key}: {shown}"), message
    rule = said.removeprefix(f"  {key}: {shown}")
    assert len(rule) >= len("is empty."), message
    assert len(said) < 400, message
    assert said.isprintable(), message
    # Command
    words = shlex.split(command)
    options = ["--path"] * ("[" in key) + ["--secret"] * kind.private
    start = ["pulumi", "config", "set", "--stack", pulumi.get_stack(), *options, key]
    assert words[: len(start)] == start, message
    given = [word for word in words[len(start) :] if word != "--"]
    assert len(given) <= 1, message
    default = setting_reader.DEFAULTS.get(key.rpartition(".")[2], "")
    for one in given:
        assert not kind.private, message
        assert not kind.problem(one), message
        assert one == default or one == kind.suggestion(text), message
        if one == "":  # only for values that mean "off" as well
            assert kind.may_suggest_empty, message
            assert plain_words(text) <= NONE or "//" in text, message
        elif default.isdigit() and int(one) and one != default:
            typed = re.sub(r"\.0\W*\Z|\D", "", unicodedata.normalize("NFKC", text))
            assert int(one) % int(typed) == 0, message
    # No private values
    for private in PRIVATE:
        if private in text:
            digits = re.sub(r"\D", "", unicodedata.normalize("NFKC", private))[-7:]
            plain = re.sub(r"[\s().-]", "", unicodedata.normalize("NFKC", message))
            assert digits not in plain, message
            assert "canary" not in message, message


NONE = {"none", "no", "never", "off", "false", "0"}
"""Words that mean "off"."""


def plain_words(text: str) -> set[str]:
    """Return the words of a value in lower case."""
    plain = unicodedata.normalize("NFKC", unquote(text)).casefold()
    return set(re.findall(r"\w+", plain))


@given(key=st.sampled_from(sorted(KINDS)), value=ANY)
@example(key="filterPrefix", value="%2A")
@example(key="filterSuffix", value="%FF")
@example(key="message", value="${key")
@example(key="timezone", value="/")
@example(key="twilioApiUrl", value="http://[")
def test_a_suggested_value_is_right_itself(key: str, value: str) -> None:
    better = KINDS[key].suggestion(value)
    assert better is None or not KINDS[key].problem(better)
    assert not (KINDS[key].problem(value) and better == value)


@pytest.mark.parametrize("key", DEFAULTS)
def test_a_default_is_right(key: str) -> None:
    assert not KINDS[key].problem(setting_reader.DEFAULTS[key])


# The table of the settings, Pulumi.yaml, the README and the environment agree

EACH_DIFFERENT = {
    "twilioAccountSid": "AC" + "1" * 32,
    "twilioSecret": "another-canary",
    "twilioApiKeySid": KEY,
    "twilioApiUrl": "https://gateway.example.com",
    "toNumbers": "+15005550199,+15005550198",
    "message": "$name",
    "mode": "digest",
    "flushMinutes": "7",
    "maxTextsAtOnce": "2",
    "maxTextsPerHour": "3",
    "quietHours": "22:00-07:00",
    "contains": "ERROR",
    "timezone": "Europe/Berlin",
    "expect": "Mon-Fri by 06:30",
    "atLeast": "10 MB",
}
"""Another value for each setting that a function receives, without the sender."""

NO_SETTINGS = {"stack", "ledger_table", "held_queue", "failed_queue"}
"""A function's environment variables that are no settings."""


def test_every_setting_is_described_in_the_projects_file_and_the_other_way_round() -> None:
    assert list(KINDS) == list(PROJECT["config"])
    assert all(described["description"] for described in PROJECT["config"].values())


def test_the_table_and_the_projects_file_agree_on_types_secrets_and_required_keys() -> None:
    names = {int: "integer", bool: "boolean", tuple[Route, ...]: "array"}
    types = get_type_hints(ProgramSettings)
    assert len(types) == len(KINDS)
    for (key, kind), type_ in zip(KINDS.items(), types.values(), strict=True):
        described = PROJECT["config"][key]
        assert described["type"] == names.get(type_, "string"), key
        assert ("default" not in described) == kind.required, key
        assert described.get("secret", False) == (type_ == pulumi.Output[str]), key
        assert not described.get("secret") or kind.private, key


def test_the_readmes_table_has_each_setting_with_its_default() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (?:`?([^|]*?)`? )?\|", README, re.MULTILINE)
    assert rows == [(key, setting_reader.DEFAULTS.get(key, "")) for key in KINDS]


@pytest.mark.parametrize("sender", [{"fromNumber": "S3 Logs"}, {"messagingServiceSid": SERVICE}])
def test_a_function_receives_each_setting_that_it_reads(sender: dict[str, str]) -> None:
    changes = {**EACH_DIFFERENT, "fromNumber": "", **sender}
    received = read_settings(variables_of(**changes))._asdict()
    keys = {name: key for key, name in program_settings.NAMES.items()}
    assert received.keys() - keys.keys() == NO_SETTINGS
    read = {keys[name] for name in received.keys() - NO_SETTINGS} - {"routes"}
    assert read == EACH_DIFFERENT.keys() | {"fromNumber", "messagingServiceSid"}
    for key in read - {"twilioSecret"}:
        parsed = KINDS[key].parse(changes.get(key, ""))
        assert received[program_settings.NAMES[key]] == parsed, key
    assert received["twilio_secret"] == changes["twilioSecret"]


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        (
            "maxTextPerHour",
            "10",
            "; the nearest is maxTextsPerHour. -> pulumi config rm --stack test maxTextPerHour "
            f"-> {SET} maxTextsPerHour 10",
        ),
        (
            "FilterSuffix",
            ".txt",
            "; the nearest is filterSuffix. -> pulumi config rm --stack test FilterSuffix "
            f"-> {SET} filterSuffix .txt",
        ),
        (
            "maxTextPerHour",
            "few",
            "; the nearest is maxTextsPerHour. -> pulumi config rm --stack test maxTextPerHour "
            f"-> {SET} maxTextsPerHour 30",
        ),
        (
            "toNumber",
            PHONE,
            "; the nearest is toNumbers. -> pulumi config rm --stack test toNumber "
            f"-> {SET} --secret toNumbers",
        ),
        (
            "twilioAuthToken",
            "canary",
            "; the nearest is twilioSecret. -> pulumi config rm --stack test twilioAuthToken "
            f"-> {SET} --secret twilioSecret",
        ),
        ("colour", "red", ". -> pulumi config rm --stack test colour"),
    ],
)
def test_a_key_that_is_no_setting_is_named_with_the_nearest_that_is(
    key: str, value: str, expected: str
) -> None:
    assert mistakes(**{key: value}) == [f"{key}: is no setting{expected}"]


def test_a_key_that_only_pulumis_cli_passes_is_named_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The CLI passes the configuration in the environment; the Automation API does not."""
    monkeypatch.setenv("PULUMI_CONFIG", json.dumps({"s3-logs:flushMinute": "7", "aws:x": "y"}))
    (shown,) = mistakes()
    assert shown.startswith("flushMinute: is no setting; the nearest is flushMinutes.")
    assert shown.endswith(f"{SET} flushMinutes 7")


def test_keys_of_other_namespaces_are_ignored(load: Load) -> None:
    load(**{"aws:regoin": "eu-central-1"})


# Warnings about valid settings that are probably mistakes


def test_phones_in_clear_text_are_warned_of_with_the_command_that_encrypts_them(
    warnings: Warnings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (shown,) = warnings(secrets=frozenset({"twilioSecret"}))
    assert shown.startswith("toNumbers is in the stack's file in clear text")
    assert shown.endswith(f": {SET} --secret toNumbers")
    assert warnings() == []
    monkeypatch.setenv("PULUMI_CONFIG_SECRET_KEYS", '["s3-logs:toNumbers"]')  # as the CLI sets it
    assert warnings(secrets=frozenset({"twilioSecret"})) == []


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("☃ Snow on $key, $size, $time in $bucket", "☃ is U+2603 SNOWMAN"),
        ("$key, $time " + "漢" * 60, "漢 is U+6F22 CJK UNIFIED IDEOGRAPH-6F22"),
        ("[{|}]" * 14 + " $key", "and each of [ { | } ] counts as two"),
        ("Somebody uploaded " + "a very " * 18 + "long log: $key", "has 160 characters"),
        ("Somebody uploaded " + "a very " * 30 + "long log", "takes 2 segments even"),
    ],
)
def test_a_message_that_costs_more_than_it_has_to_is_warned_of(
    warnings: Warnings, message: str, expected: str
) -> None:
    (found,) = warnings(message=message)
    assert expected in found


@pytest.mark.parametrize(
    "message",
    [
        DEFAULTS["message"],
        "New log: ${name}",
        "Köln: $key",
        "☃ $key",
        "\u201cNew\u201d log \u2013 $key",
    ],
)
def test_a_message_that_costs_one_segment_is_not_warned_of(
    warnings: Warnings, message: str
) -> None:
    assert warnings(message=message) == []


def test_a_size_without_an_expected_log_is_warned_of(warnings: Warnings) -> None:
    (warning,) = warnings(atLeast="1 kB")
    assert warning.startswith("atLeast is set, but expect is not")
    assert warning.endswith(f"such as by 06:30: {SET} expect")
    assert warnings(atLeast="1 kB", expect="by 06:30") == []


def test_a_name_that_texts_americans_is_warned_of(warnings: Warnings) -> None:
    (shown,) = warnings(fromNumber="S3 Logs")
    assert "Twilio refuses a text to …0100 (error 21612)" in shown
    assert warnings(fromNumber="S3 Logs", toNumbers="+4915112345678") == []


# Valid settings


@pytest.mark.parametrize("sender", ["+15005550006", "123", "12345678", "S3 Logs", "24x7", " A "])
def test_a_sender_is_a_number_a_short_code_or_a_name(load: Load, sender: str) -> None:
    load(fromNumber=sender)


def test_a_name_reaches_the_function_without_the_spaces_around_it() -> None:
    assert variables_of(fromNumber=" S3 Logs ")["FROM_NUMBER"] == "S3 Logs"


@pytest.mark.parametrize(
    "changes",
    [
        {"quietHours": "22:00-07:00", "flushMinutes": "900"},
        {"flushMinutes": "1440"},
        {"expect": "every 10m"},
        {"expect": "by 06:30", "flushMinutes": "720", "atLeast": "1 kB"},
        {"expect": "Mon,Thu by 06:30", "flushMinutes": "1440"},
        {"existingBucket": "their.logs-1"},
        {"filterPrefix": "my logs/Köln, Süd/", "filterSuffix": ""},
        {"filterPrefix": "100% sure/"},
        {"filterSuffix": ".log,.log.gz"},
        {"quietHours": "Mon-Fri 22:00-07:00, Sat-Sun 00:00-24:00"},
        {
            "filterPrefix": "\u06a9\u062a\u0627\u0628\u200c\u0647\u0627/"
        },  # Persian words need this joiner
        {"alarmEmail": "on-call+s3@sub.example.co.uk"},
        {"twilioApiUrl": "https://api.dublin.ie1.twilio.com"},
        {"twilioApiUrl": "http://127.0.0.1:8080"},
        {"twilioApiUrl": "https://[2001:db8::1]:8443/api/laml"},
        {"twilioSecret": "canary:/+=-_ canary".replace(" ", "")},
        {"timezone": " Europe/Berlin ", "mode": " digest", "maxTextsPerHour": "007 "},
    ],
    ids=repr,
)
def test_a_valid_setting_is_accepted(load: Load, changes: dict[str, str]) -> None:
    load(**changes)


def variables_of(**changes: str) -> dict[str, str]:
    program = record({**SETTINGS, **changes})
    variables = program.the("Function", "notify").plain("environment")["variables"]
    assert isinstance(variables, dict)
    return variables


def test_spaces_around_numbers_are_ignored() -> None:
    variables = variables_of(toNumbers=" +15005550100 , +15005550101,")
    assert variables["TO_NUMBERS"] == "+15005550100,+15005550101"


def test_an_api_key_a_messaging_service_and_a_gateway_reach_the_function() -> None:
    variables = variables_of(
        twilioApiKeySid=KEY,
        fromNumber="",
        messagingServiceSid=SERVICE,
        twilioApiUrl="https://gateway.example.com/",
    )
    assert variables["TWILIO_API_KEY_SID"] == KEY
    assert variables["MESSAGING_SERVICE_SID"] == SERVICE
    assert variables["TWILIO_API_URL"] == "https://gateway.example.com"
    assert "FROM_NUMBER" not in variables


# The 4 KB of a function's environment


def phones(count: int) -> str:
    return ",".join(f"+1500555{number:08}" for number in range(count))


def measured(variables: dict[str, str]) -> int:
    """Return the size as Lambda counts it; its refusal says "String measured: {...}"."""
    return len(json.dumps(variables, separators=(",", ":"), ensure_ascii=False).encode())


def test_the_most_phones_that_are_accepted_fit_the_environment_of_a_function(load: Load) -> None:
    """A binary search finds the largest accepted number of phones, with a long message."""
    rest = {"message": "漢" * 166, "timezone": "America/Argentina/ComodRivadavia"}
    fine, refused = 1, 400
    while refused - fine > 1:
        count = (fine + refused) // 2
        try:
            load(toNumbers=phones(count), **rest)
            fine = count
        except pulumi.RunError:
            refused = count
    variables = variables_of(toNumbers=phones(fine), **rest)
    # The lower bound is loose, as real names of queues may be longer than the recorded ones.
    assert 3800 < measured(variables) <= program_settings.MAX_ENVIRONMENT_BYTES
    assert fine > 150


def test_an_environment_that_is_too_long_is_reported_with_the_size_of_each_part() -> None:
    (shown,) = mistakes(toNumbers=phones(300), message="New log $key")
    match = re.fullmatch(
        r"toNumbers: is too long: the settings take ([0-9,]+) bytes of a function's environment, "
        r"but Lambda allows 4,096 \((.*)\)\. -> (.*)",
        shown,
    )
    assert match
    assert match[3] == f"{SET} {PHONES}"
    parts = dict(re.findall(r"(\w+|the rest) ([0-9,]+)(?:, |$)", match[2]))
    assert parts["toNumbers"] == format(len(phones(300) + '"TO_NUMBERS":"",'), ",")
    assert parts["message"] == str(len('"MESSAGE":"New log $key",'))
    total = int(match[1].replace(",", ""))
    assert total == 1 + sum(int(size.replace(",", "")) for size in parts.values())
    assert total > 4096


def test_the_estimate_of_a_name_given_by_aws_is_never_too_short() -> None:
    longest = {
        "ledger_table": "ledger-1a2b3c4",
        "held_queue": "https://sqs.us-gov-northwest-12.amazonaws.com.cn/123456789012/"
        "texts-held-1a2b3c4",
        "failed_queue": "https://sqs.us-gov-northwest-12.amazonaws.com.cn/123456789012/"
        "texts-failed-1a2b3c4",
    }
    for name, estimate in program_settings.ESTIMATED_NAMES.items():
        assert len(longest[name]) <= len(estimate)
