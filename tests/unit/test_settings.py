"""Every mistake in the settings is reported at preview, all at once, each with its remedy."""

import re

import pulumi
import pytest

from tests.unit.recorded import SETTINGS, record

ACCOUNT = "AC" + "0" * 32
KEY = "SK" + "0" * 32
SERVICE = "MG" + "0" * 32


def mistakes(**changes: str | None) -> list[str]:
    """Give what is said of settings with these changes; None leaves one out."""
    changed = {**SETTINGS, **changes}
    with pytest.raises(pulumi.RunError) as caught:
        record({key: value for key, value in changed.items() if value is not None})
    said = str(caught.value).split("\n\n", 1)[1]
    return [re.sub(r"\n +", " -> ", mistake.strip()) for mistake in re.split(r"\n(?=  \w)", said)]


PHONES = '-> pulumi config set --secret toNumbers "+15551234567,+15557654321"'


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"twilioAccountSid": KEY},
            "twilioAccountSid: is not the SID of an account, AC and 32 hexadecimal digits, "
            "but that of an API key. -> pulumi config set twilioAccountSid AC...",
        ),
        (
            {"twilioApiKeySid": ACCOUNT},
            "twilioApiKeySid: is not the SID of an API key, SK and 32 hexadecimal digits, "
            "but that of an account. -> pulumi config set twilioApiKeySid SK...",
        ),
        (
            {"fromNumber": "", "messagingServiceSid": "MG123"},
            "messagingServiceSid: is not the SID of a Messaging Service, MG and 32 hexadecimal "
            "digits. -> pulumi config set messagingServiceSid MG...",
        ),
        (
            {"twilioSecret": None},
            "twilioSecret: is not set. -> pulumi config set --secret twilioSecret",
        ),
        *(
            ({key: blank}, f"{key}: is empty. -> pulumi config set {remedy}")
            for blank in ("", " ")
            for key, remedy in (
                ("twilioAccountSid", "twilioAccountSid AC..."),
                ("twilioSecret", "--secret twilioSecret"),
                ("toNumbers", PHONES.removeprefix("-> pulumi config set ")),
            )
        ),
        *(
            (
                {"twilioSecret": secret},
                "twilioSecret: holds a space or a line break. "
                "-> pulumi config set --secret twilioSecret",
            )
            for secret in ("of two\nlines", "with a space", "its-end\n")
        ),
        *(
            (
                {"twilioApiUrl": url},
                "twilioApiUrl: is no plain address of at most 200 bytes: a host, a port, a path. "
                "-> pulumi config set twilioApiUrl https://api.twilio.com",
            )
            for url in (
                *("https://host:99999", "https://host/?x=1", "https://[::1", "https://ho st"),
                "https://host/" + "x" * 200,
            )
        ),
        (
            {"twilioApiUrl": "http://example.com"},
            "twilioApiUrl: is not an https address, and the secret must not travel in plain text. "
            "-> pulumi config set twilioApiUrl https://api.twilio.com",
        ),
        (
            {"twilioApiUrl": "https://user:password@example.com"},
            "twilioApiUrl: is not an https address, and the secret must not travel in plain text. "
            "-> pulumi config set twilioApiUrl https://api.twilio.com",
        ),
        (
            {"fromNumber": "015551234567"},
            "fromNumber: is not in E.164, a plus and the country code first; for a short code or "
            "a name, set messagingServiceSid instead. -> pulumi config set fromNumber +15551234567",
        ),
        (
            {"fromNumber": ""},
            "fromNumber: is not set, nor is messagingServiceSid. "
            "-> pulumi config set fromNumber +15551234567",
        ),
        (
            {"fromNumber": " "},
            "fromNumber: is not set, nor is messagingServiceSid. "
            "-> pulumi config set fromNumber +15551234567",
        ),
        (
            {"messagingServiceSid": SERVICE},
            "fromNumber and messagingServiceSid are both set, but texts come from one of them. "
            "-> pulumi config rm fromNumber",
        ),
        (
            {"toNumbers": "+15005550100,15005550101"},
            f"toNumbers: …0101 is not in E.164, a plus and the country code first. {PHONES}",
        ),
        (
            {"toNumbers": "+1\uff15\uff10\uff105550100"},
            f"toNumbers: …0100 is not in E.164, a plus and the country code first. {PHONES}",
        ),
        ({"toNumbers": " , "}, f"toNumbers: names no phone. {PHONES}"),
        ({"toNumbers": None}, f"toNumbers: is not set. {PHONES}"),
        (
            {"toNumbers": "+15005550100, +15005550100"},
            f"toNumbers: names …0100 twice. {PHONES}",
        ),
        (
            {"filterSuffix": "*.log"},
            "filterSuffix: holds a wildcard, but S3 takes a filter as it is. "
            '-> pulumi config set filterSuffix ".log"',
        ),
        (
            {"filterPrefix": "app/*"},
            "filterPrefix: holds a wildcard, but S3 takes a filter as it is. "
            '-> pulumi config set filterPrefix "app/"',
        ),
        (
            {"message": "New: $file in $bucket"},
            "message: uses $file, but there are only $name, $key, $bucket, $size, $time. "
            "-> pulumi config set message 'New log $key, $size, $time'",
        ),
        (
            {"message": "costs 5$"},
            "message: has a $ without a name: write $$, or one of $name, $key, $bucket, $size, "
            "$time. -> pulumi config set message 'New log $key, $size, $time'",
        ),
        (
            {"message": " "},
            "message: is empty. -> pulumi config set message 'New log $key, $size, $time'",
        ),
        (
            {"message": "x" * 501},
            "message: is longer than 500 bytes. "
            "-> pulumi config set message 'New log $key, $size, $time'",
        ),
        (
            {"toNumbers": ",".join(f"+1500555{number:04}" for number in range(200))},
            f"toNumbers: is longer than 2000 bytes. {PHONES}",
        ),
        (
            {"timezone": "Berlin"},
            "timezone: is no IANA time zone, such as Europe/Berlin. "
            "-> pulumi config set timezone UTC",
        ),
        *(
            (
                {"timezone": zone},
                "timezone: is no IANA time zone, such as Europe/Berlin. "
                "-> pulumi config set timezone UTC",
            )
            for zone in ("", "../etc/passwd", "europe/berlin", "localtime", "posix/Europe/Berlin")
        ),
        (
            {"expireLogsAfterDays": "-1"},
            "expireLogsAfterDays: is not a whole number from 0. "
            "-> pulumi config set expireLogsAfterDays 0",
        ),
        (
            {"mode": "instantly"},
            "mode: is neither instant nor digest. -> pulumi config set mode instant",
        ),
        (
            {"flushMinutes": "0"},
            "flushMinutes: is not a whole number from 1 to 1440. "
            "-> pulumi config set flushMinutes 1",
        ),
        (
            {"maxTextsPerHour": "many"},
            "maxTextsPerHour: is not a whole number from 1. -> pulumi config set maxTextsPerHour 1",
        ),
        (
            {"quietHours": "22-7"},
            "quietHours: is not of the form 22:00-07:00. "
            "-> pulumi config set quietHours 22:00-07:00",
        ),
        (
            {"quietHours": "22:00-07:00", "flushMinutes": "901"},
            "flushMinutes: is longer than the 900 minutes of a day outside quietHours, in which "
            "every flush may fall. -> pulumi config set flushMinutes 60",
        ),
        (
            {"protectBucket": "yes"},
            "protectBucket: is neither true nor false. -> pulumi config set protectBucket false",
        ),
    ],
)
def test_a_mistake_has_one_message_with_its_remedy(changes: dict[str, str], said: str) -> None:
    assert mistakes(**changes) == [said]


def test_all_mistakes_are_reported_at_once() -> None:
    said = mistakes(twilioAccountSid="SK1", toNumbers="5551234", filterSuffix="*", timezone="Mars")
    assert [mistake.split(":")[0] for mistake in said] == [
        "twilioAccountSid",
        "toNumbers",
        "filterSuffix",
        "timezone",
    ]


def test_no_message_shows_a_whole_number_or_a_secret() -> None:
    said = " ".join(
        mistakes(toNumbers="15005550199,15005550199", twilioAccountSid="canary-token-0123456789")
    )
    assert "15005550199" not in said
    assert "canary" not in said


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(pulumi.RunError, match="There is no setting colour. There are twilio"):
        record({**SETTINGS, "colour": "red"})


def test_a_flush_that_is_never_in_quiet_hours_for_long_is_fine() -> None:
    record({**SETTINGS, "quietHours": "22:00-07:00", "flushMinutes": "900"})
    record({**SETTINGS, "flushMinutes": "1440"})


def test_the_longest_settings_fit_the_environment_of_a_function() -> None:
    """Of 4 KB: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html."""
    program = record(
        {
            **SETTINGS,
            "toNumbers": ",".join(f"+1500555{number:08}" for number in range(117)),
            "message": "漢" * 166,
            "twilioApiUrl": "https://host/" + "x" * 187,
            "twilioSecret": "s" * 64,
            "twilioApiKeySid": KEY,
            "quietHours": "22:00-07:00",
            "timezone": "America/Argentina/ComodRivadavia",
        }
    )
    variables = program.the("Function", "notify").plain("environment")["variables"]
    assert sum(len(f"{name}={value}".encode()) + 1 for name, value in variables.items()) < 4096


def test_spaces_around_numbers_are_forgiven() -> None:
    program = record({**SETTINGS, "toNumbers": " +15005550100 , +15005550101,"})
    variables = program.the("Function", "notify").plain("environment")["variables"]
    assert variables["TO_NUMBERS"] == "+15005550100,+15005550101"


def test_an_api_key_a_messaging_service_and_a_gateway_reach_the_function() -> None:
    program = record(
        {
            **SETTINGS,
            "twilioApiKeySid": KEY,
            "fromNumber": "",
            "messagingServiceSid": SERVICE,
            "twilioApiUrl": "https://gateway.example.com/",
        }
    )
    variables = program.the("Function", "notify").plain("environment")["variables"]
    assert variables["TWILIO_API_KEY_SID"] == KEY
    assert variables["MESSAGING_SERVICE_SID"] == SERVICE
    assert variables["TWILIO_API_URL"] == "https://gateway.example.com"
    assert "FROM_NUMBER" not in variables
