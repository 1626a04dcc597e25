"""Routes in the settings: a preview reports every mistake with its remedy."""

import json
import logging
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from handler.environment import read_settings
from handler.quiet_hours import FORM
from handler.routes import FIELDS, NOT_INHERITED, Routes
from handler.text import PLACEHOLDERS
from infra import setting_reader
from infra.globs import Filter, may_match
from infra.route_settings import _meant, field_kinds
from infra.settings import KINDS
from local.deployment import SIGNATURE_KEY
from local.program import SECRETS
from stack import ROOT
from tests.guides import routes_of, section
from tests.unit.examples import examples
from tests.unit.recorded import SETTINGS, Recorded, record, record_anew

PHONE, OTHER_PHONE, THIRD_PHONE = "+15005550110", "+15005550111", "+15005550112"
PAYMENTS: dict[str, Any] = {"name": "payments", "logs": "payments/*.log", "toNumbers": PHONE}
BACKUP: dict[str, Any] = {"name": "backup", "logs": "backup/*", "toNumbers": OTHER_PHONE}
IN_CLEAR = SECRETS - {"routes"}

SET = "pulumi config set --stack test --path"
REMOVE = "pulumi config rm --stack test --path"
PHONES = "--secret 'routes[0].toNumbers'"


def with_routes(*routes: object, **settings: str) -> dict[str, str]:
    return {**SETTINGS, "routes": json.dumps(routes), **settings}


@pytest.fixture(scope="module")
def load(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., None]:
    """A function that reads settings with these routes, and declares no resources."""
    path = tmp_path_factory.mktemp("program") / "__main__.py"
    path.write_text("from infra.settings import Settings\n\nSettings.load()\n")

    def load(*routes: object, secrets: frozenset[str] = IN_CLEAR, **settings: str) -> None:
        record_anew(with_routes(*routes, **settings), secrets=secrets, path=path)

    return load


Mistakes = Callable[..., list[str]]


@pytest.fixture
def mistakes(load: Callable[..., None]) -> Mistakes:
    """A function that returns the messages about settings with these routes."""

    def mistakes(*routes: object, **options: Any) -> list[str]:
        with pytest.raises(pulumi.RunError) as caught:
            load(*routes, **options)
        shown = str(caught.value).split("\n\n", 1)[1]
        return [re.sub(r"\n +", " -> ", one.strip()) for one in re.split(r"\n(?=  \w)", shown)]

    return mistakes


# The functions' variables


def variables(program: Recorded) -> dict[str, str]:
    found = program.the("Function", "notify").plain("environment")["variables"]
    assert isinstance(found, dict)
    return found


def test_routes_reach_both_functions_as_one_secret_variable() -> None:
    night = {**BACKUP, "quietHours": "none", "maxTextsPerHour": 3, "mode": "digest"}
    program = record(with_routes(PAYMENTS, night, quietHours="22:00-07:00"))
    for name in ("notify", "flush"):
        function = program.the("Function", name)
        assert function.secret_inputs == {"environment"}
    written = json.loads(variables(program)["ROUTES"])
    assert written == [
        PAYMENTS,
        {**BACKUP, "quietHours": "none", "maxTextsPerHour": 3, "mode": "digest"},
    ]
    settings = read_settings(variables(program))
    assert settings.quiet_hours == "22:00-07:00"
    payments, backup = settings.routes
    assert (payments.quiet_hours, backup.quiet_hours) == ("22:00-07:00", "")
    assert (payments.max_texts_per_hour, backup.max_texts_per_hour) == (30, 3)
    assert Routes(settings).phones("payments/a.log").keys() == {PHONE}


def test_a_stack_without_routes_has_no_such_variable() -> None:
    assert "ROUTES" not in variables(record())
    assert "ROUTES" not in variables(record(with_routes()))


def test_with_routes_the_flat_phones_may_be_missing() -> None:
    program = record(with_routes(PAYMENTS, toNumbers=""))
    assert "TO_NUMBERS" not in variables(program)
    assert read_settings(variables(program)).phones == (PHONE,)


def test_phones_and_the_secret_are_secret_variables_by_themselves(tmp_path: Path) -> None:
    path = tmp_path / "__main__.py"
    path.write_text(
        "import pulumi\n"
        "from infra.ledger import Ledger\n"
        "from infra.queues import TextQueues\n"
        "from infra.settings import Settings\n"
        "variables = Settings.load().environment(Ledger('ledger'), TextQueues('texts'))\n"
        "for name, value in variables.items():\n"
        "    pulumi.export(name, value)\n"
    )
    outputs = record_anew(with_routes(PAYMENTS), path=path).outputs
    secret = {name for name, value in outputs.items() if SIGNATURE_KEY in value}
    assert secret == {"TWILIO_SECRET", "TO_NUMBERS", "ROUTES"}


def test_no_number_of_a_route_is_in_plain_text_in_any_resource() -> None:
    program = record(with_routes(PAYMENTS, BACKUP))
    for resource in program.resources:
        shown = dict(resource.inputs)
        for key in resource.secret_inputs:
            assert SIGNATURE_KEY in shown.pop(key)
        assert PHONE not in str(shown)
        assert OTHER_PHONE not in str(shown)
    assert PHONE not in str(program.outputs)


def test_every_field_of_a_route_has_a_kind() -> None:
    assert field_kinds(KINDS).keys() == FIELDS.keys()


# Mistakes

NAME = "is not a name of 1 to 32 letters, digits, spaces, periods, hyphens and underscores"
NO_LIST = "but must be one text, with commas between values"
NO_LOG = "can match no log: S3 reports only those that filterPrefix and filterSuffix let through"


@pytest.mark.parametrize(
    ("changes", "key", "what", "remedy"),
    [
        # Names
        ({"name": None}, "name", "is not set", f"{SET} 'routes[0].name'"),
        ({"name": " "}, "name", "is empty", f"{SET} 'routes[0].name'"),
        ({"name": "a/b"}, "name", f'"a/b" {NAME}', f"{SET} 'routes[0].name' a-b"),
        ({"name": "-"}, "name", f'"-" {NAME}', f"{SET} 'routes[0].name'"),
        (
            {"name": "Zürich"},
            "name",
            f'"Zürich" {NAME}: ü is U+00FC LATIN SMALL LETTER U WITH DIAERESIS',
            f"{SET} 'routes[0].name' Zurich",
        ),
        (
            {"name": "x-" * 17},
            "name",
            f'"{"x-" * 17}" {NAME}',
            f"{SET} 'routes[0].name' {'x-' * 15}x",
        ),
        (
            {"name": "Default"},
            "name",
            '"Default" is reserved for logs that match no route',
            f"{SET} 'routes[0].name'",
        ),
        (
            {"name": "several"},
            "name",
            '"several" is reserved for summaries of several routes',
            f"{SET} 'routes[0].name'",
        ),
        # Globs
        ({"logs": None}, "logs", "is not set", f"{SET} 'routes[0].logs'"),
        ({"logs": ""}, "logs", "is empty", f"{SET} 'routes[0].logs'"),
        (
            {"logs": " , "},
            "logs",
            '"," names no glob, such as payments/*.log',
            f"{SET} 'routes[0].logs'",
        ),
        (
            {"logs": "/payments/*"},
            "logs",
            '"/payments/*" begins with a slash, but keys begin without one',
            f"{SET} 'routes[0].logs' 'payments/*'",
        ),
        (
            {"logs": "a/*.log; b/*.log"},
            "logs",
            '"a/*.log; b/*.log" lists several globs, but not separated by commas',
            f"{SET} 'routes[0].logs' 'a/*.log,b/*.log'",
        ),
        (
            {"logs": "my%20logs/*"},
            "logs",
            '"my%20logs/*" is URL-encoded, but keys are not: write ? for a % in a key',
            f"{SET} 'routes[0].logs' 'my logs/*'",
        ),
        (
            {"logs": "s3://bucket/a/*"},
            "logs",
            '"s3://bucket/a/*" is an address: write only the part after the bucket\'s name',
            f"{SET} 'routes[0].logs' 'a/*'",
        ),
        (
            {"logs": "a[0-9].log"},
            "logs",
            '"a[0-9].log" has a [ in a glob: only * (any characters, / too) and ? (one) stand for '
            "others; write ? for a [ in a key",
            f"{SET} 'routes[0].logs' 'a?.log'",
        ),
        (
            {"except": "*/a\u200b/*"},
            "except",
            '"*/a\\u200b/*" has an invisible character',
            f"{SET} 'routes[0].except' '*/a/*'",
        ),
        # Phones
        ({"toNumbers": None}, "toNumbers", "is not set", f"{SET} {PHONES}"),
        ({"toNumbers": " "}, "toNumbers", "is empty", f"{SET} {PHONES}"),
        (
            {"toNumbers": 15005550110},
            "toNumbers",
            "…0110 lost its plus: with --path, only --secret keeps it from being a number",
            f"{SET} {PHONES}",
        ),
        (
            {"toNumbers": "15005550110"},
            "toNumbers",
            "…0110 lacks its plus, which YAML drops unless the value is in quotes",
            f"{SET} {PHONES}",
        ),
        (
            {"toNumbers": f"{PHONE},{SETTINGS['fromNumber']}"},
            "toNumbers",
            "names …0006, which is fromNumber: Twilio refuses a text from a number to itself "
            "(error 21266)",
            f"{SET} {PHONES}",
        ),
        # Fields that are flat settings too
        (
            {"maxTextsPerHour": 0},
            "maxTextsPerHour",
            '"0" is not a whole number from 1 to 999999999',
            f"{SET} 'routes[0].maxTextsPerHour' 30",
        ),
        (
            {"mode": "Digest"},
            "mode",
            '"Digest" is neither instant nor digest',
            f"{SET} 'routes[0].mode' digest",
        ),
        (
            {"message": "$file"},
            "message",
            '"$file" uses $file, but there are only '
            f"{', '.join(f'${name}' for name in PLACEHOLDERS)}",
            f"{SET} 'routes[0].message' 'New log $key, $size, $time in $bucket'",
        ),
        ({"quietHours": ""}, "quietHours", "is empty", f"{SET} 'routes[0].quietHours'"),
        (
            {"quietHours": "off"},
            "quietHours",
            f'"off" is not of the form {FORM}',
            f"{SET} 'routes[0].quietHours' none",
        ),
        (
            {"quietHours": "00:00-23:59"},
            "quietHours",
            '"00:00-23:59" leaves too little time for a flush: flushMinutes is longer than the '
            "longest time outside routes[0].quietHours (1 minute), so every flush may fall into "
            "quiet hours",
            f"{SET} 'routes[0].quietHours'",
        ),
        # Wrong types and unknown fields
        (
            {"logs": ["a/*.log", "b/*.log"]},
            "logs",
            f"""'["a/*.log", "b/*.log"]' is a list, {NO_LIST}""",
            f"{SET} 'routes[0].logs' 'a/*.log,b/*.log'",
        ),
        (
            {"toNumbers": [PHONE]},
            "toNumbers",
            f"is a list, {NO_LIST}",
            f"{SET} {PHONES}",
        ),
        (
            {"message": {"a": "b"}},
            "message",
            f"""'{{"a": "b"}}' is a map, {NO_LIST}""",
            f"{SET} 'routes[0].message' 'New log $key, $size, $time in $bucket'",
        ),
        (
            {"maxTextPerHour": 10},
            "maxTextPerHour",
            "is no field of a route; the nearest is maxTextsPerHour",
            f"{REMOVE} 'routes[0].maxTextPerHour' -> {SET} 'routes[0].maxTextsPerHour' 10",
        ),
        (
            {"phones": PHONE},
            "phones",
            "is no field of a route; the nearest is toNumbers",
            f"{REMOVE} 'routes[0].phones'",
        ),
        ({"colour": "red"}, "colour", "is no field of a route", f"{REMOVE} 'routes[0].colour'"),
        (
            {"flushMinutes": 5},
            "flushMinutes",
            "is no field of a route",
            f"{REMOVE} 'routes[0].flushMinutes'",
        ),
        # Globs and filters
        (
            {"logs": "payments/*.txt"},
            "logs",
            f'"payments/*.txt" {NO_LOG}',
            f"{SET} 'routes[0].logs' 'payments/*.log'",
        ),
        (
            {"logs": "payments/*.log, web/*.gz"},
            "logs",
            f'"payments/*.log, web/*.gz" has "web/*.gz", which {NO_LOG}',
            f"{SET} 'routes[0].logs' 'payments/*.log,web/*.log'",
        ),
        (
            {"logs": "web"},
            "logs",
            f'"web" {NO_LOG}',
            f"{SET} 'routes[0].logs' 'web*.log'",
        ),
        (
            {"logs": "web.log.1"},
            "logs",
            f'"web.log.1" {NO_LOG}',
            f"{SET} 'routes[0].logs' 'web*.log'",
        ),
        (
            {"logs": "payments/*/web"},
            "logs",
            f'"payments/*/web" {NO_LOG}',
            f"{SET} 'routes[0].logs' 'payments/*/web*.log'",
        ),
        (
            {"except": "pay*"},
            "except",
            '"pay*" excludes all of the route\'s logs',
            f"{REMOVE} 'routes[0].except'",
        ),
    ],
    ids=repr,
)
def test_a_mistake_in_a_route_has_one_message_with_its_remedy(
    mistakes: Mistakes, changes: dict[str, Any], key: str, what: str, remedy: str
) -> None:
    route = {field: value for field, value in {**PAYMENTS, **changes}.items() if value is not None}
    assert mistakes(route) == [f"routes[0].{key}: {what}. -> {remedy}"]


@given(
    glob=st.text(alphabet="ab./*?", min_size=1, max_size=8),
    prefix=st.text(alphabet="ab/", max_size=4),
    suffix=st.sampled_from([".log", ".log.gz", "b"]),
)
def test_the_glob_that_is_suggested_matches_logs_that_s3_reports(
    glob: str, prefix: str, suffix: str
) -> None:
    filter_ = Filter(prefix, [suffix])
    assert may_match(glob, filter_) or may_match(_meant(glob, filter_), filter_)


def test_a_misspelt_field_is_renamed_unless_the_right_one_is_there(mistakes: Mistakes) -> None:
    (shown,) = mistakes({"name": "a", "logs": "*", "toNumber": PHONE}, toNumbers="")[1:]
    assert shown.startswith("routes[0].toNumber: is no field of a route; the nearest is toNumbers.")
    assert shown.endswith(f"{SET} --secret 'routes[0].toNumbers'")


@pytest.mark.parametrize(
    "changes",
    [
        {"exept": f"{PHONE},{OTHER_PHONE}"},
        {"mesage": f"Call {PHONE}"},
        {"except": [PHONE]},
        {"message": ["Call", OTHER_PHONE]},
        {"logs": ["canary0123456789canary0123456789"]},
        {"logs": "canary0123456789canary0123456789"},
        {"logs": OTHER_PHONE},
        {"logs": f"{OTHER_PHONE}*, web/*.gz"},
    ],
    ids=repr,
)
def test_no_number_or_secret_in_the_wrong_field_is_shown(
    mistakes: Mistakes, changes: dict[str, Any]
) -> None:
    (shown,) = mistakes({**PAYMENTS, **changes})
    assert not any(one in shown for one in (PHONE, OTHER_PHONE, "canary"))


def test_a_field_of_an_odd_name_can_be_removed(mistakes: Mistakes) -> None:
    (shown,) = mistakes({**PAYMENTS, "a b.c": 1})
    assert shown.endswith(f"{REMOVE} 'routes[0][\"a b.c\"]'")


def test_what_is_no_route_can_be_removed(mistakes: Mistakes) -> None:
    (shown,) = mistakes(PAYMENTS, "backup")
    assert shown == (
        "routes[1]: is not a route, a map of fields such as name, logs and toNumbers. "
        f"-> {REMOVE} 'routes[1]'"
    )


@pytest.mark.parametrize(
    ("value", "what"),
    [("payments", "one value"), ("{}", "a map"), ("null", "one value"), ("5", "one value")],
)
def test_routes_that_are_no_list_are_refused(mistakes: Mistakes, value: str, what: str) -> None:
    assert mistakes(routes=value) == [
        f"routes: is {what}, not a list of routes. -> pulumi config rm --stack test routes"
    ]


def test_route_in_place_of_routes_is_named_with_the_first_command(mistakes: Mistakes) -> None:
    (shown,) = mistakes(route=json.dumps([PAYMENTS]))
    assert shown == (
        "route: is no setting; the nearest is routes. -> pulumi config rm --stack test route "
        f"-> {SET} 'routes[0].name'"
    )


def test_two_routes_of_one_name_are_refused(mistakes: Mistakes) -> None:
    assert mistakes(PAYMENTS, {**BACKUP, "name": "Payments"}) == [
        'routes[1].name: "Payments" is the name of routes[0] too. '
        f"-> {SET} 'routes[1].name' Payments-2"
    ]


def test_flush_minutes_that_are_too_long_for_a_routes_quiet_hours_are_refused(
    mistakes: Mistakes,
) -> None:
    (shown,) = mistakes({**PAYMENTS, "quietHours": "Mon-Sun 22:00-07:00"}, flushMinutes="901")
    assert shown == (
        'flushMinutes: "901" is longer than the longest time outside routes[0].quietHours '
        "(900 minutes), "
        "so every flush may fall into quiet hours. "
        "-> pulumi config set --stack test flushMinutes 5"
    )


def test_all_mistakes_in_all_routes_are_reported_at_once(mistakes: Mistakes) -> None:
    shown = mistakes(
        {"logs": "[", "toNumbers": 5550110, "quietHours": "late"},
        {"name": "a", "logs": "*.txt", "toNumbers": PHONE, "mood": "bad"},
        {"name": "a", "logs": "*", "toNumbers": "abc"},
        timezone="Mars",
    )
    assert [one.split(":")[0] for one in shown] == [
        "timezone",
        "routes[0].name",
        "routes[0].logs",
        "routes[0].toNumbers",
        "routes[0].quietHours",
        "routes[1].mood",
        "routes[2].toNumbers",
        "routes[2].name",
        "routes[1].logs",
    ]


# Routes that text nobody

USELESS = "texts nobody: earlier routes text each of its phones about all its logs"


@pytest.mark.parametrize(
    ("first", "second", "is_useless"),
    [
        ({}, {"name": "b"}, True),
        ({"logs": "*"}, {"name": "b"}, True),
        ({"logs": "pay*"}, {"name": "b", "mode": "digest", "message": "$key"}, True),
        ({}, {"name": "b", "toNumbers": OTHER_PHONE}, False),
        ({}, {"name": "b", "toNumbers": f"{PHONE},{OTHER_PHONE}"}, False),
        ({"toNumbers": f"{PHONE},{OTHER_PHONE}"}, {"name": "b"}, True),
        ({}, {"name": "b", "logs": "payments/*"}, True),  # S3 reports *.log only
        ({"except": "*/debug/*"}, {"name": "b"}, False),
        ({"except": "*.gz"}, {"name": "b"}, True),
        ({}, {"name": "b", "logs": "*"}, False),
        ({}, {"name": "b", "contains": "ERROR"}, True),
        ({"contains": "ERROR"}, {"name": "b", "contains": "ERROR"}, True),
    ],
)
def test_a_route_that_earlier_ones_make_useless_is_refused(
    load: Callable[..., None],
    mistakes: Mistakes,
    first: dict[str, str],
    second: dict[str, str],
    is_useless: bool,
) -> None:
    routes = [{**PAYMENTS, **first}, {**PAYMENTS, **second}]
    if is_useless:
        (shown,) = mistakes(*routes)
        assert shown.startswith(f"routes[1]: {USELESS}. Put it before them, or remove it.")
        assert shown.endswith(f"{REMOVE} 'routes[1]'")
    else:
        load(*routes)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({}, {"expect": "by 06:30"}),
        ({"contains": "ERROR"}, {"contains": "FATAL"}),
        ({"contains": "ERROR"}, {}),
    ],
    ids=repr,
)
def test_a_route_that_can_do_what_an_earlier_one_does_not_is_accepted(
    load: Callable[..., None], first: dict[str, str], second: dict[str, str]
) -> None:
    load({**PAYMENTS, **first}, {**PAYMENTS, "name": "b", **second})


def test_two_earlier_routes_together_make_one_useless(mistakes: Mistakes) -> None:
    third = {"name": "c", "logs": "?/*", "toNumbers": f"{PHONE},{OTHER_PHONE}"}
    everything = {"name": "b", "logs": "*", "toNumbers": OTHER_PHONE}
    (shown,) = mistakes({**everything, "name": "a", "toNumbers": PHONE}, everything, third)
    assert shown.startswith(f"routes[2]: {USELESS}")


LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=8),
    st.sampled_from(["none", "digest", PHONE, "*/a/*", "[", "a,b", "$key", "by 06:30", "1 kB"]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=4,
)
FIELDS_OR_NOT = st.sampled_from(sorted(FIELDS)) | st.text(max_size=8)
ANY_ROUTES = st.lists(VALUES | st.dictionaries(FIELDS_OR_NOT, VALUES, max_size=5), max_size=3)


@given(routes=ANY_ROUTES, is_secret=st.booleans())
@examples(60)
def test_whatever_routes_are_they_are_accepted_or_each_mistake_has_a_command(
    load: Callable[..., None], routes: list[object], is_secret: bool
) -> None:
    try:
        load(*routes, secrets=SECRETS if is_secret else IN_CLEAR)
    except pulumi.RunError as error:
        for mistake in re.split(r"\n(?=  \S)", str(error).split("\n\n", 1)[1]):
            for command in mistake.split("\n    ")[1:]:
                assert shlex.split(command)[:2] == ["pulumi", "config"], mistake


# Secrets


@pytest.mark.parametrize("secrets", [SECRETS, IN_CLEAR])
def test_no_message_shows_a_whole_number(mistakes: Mistakes, secrets: frozenset[str]) -> None:
    shown = " ".join(
        mistakes(
            {"name": PHONE, "logs": "*", "toNumbers": 15005550177, "phone": "+15005550188"},
            {"name": "b", "logs": "x", "toNumbers": "15005550155;+15005550156", "to": [PHONE]},
            {"name": "c", "logs": "*", "toNumbers": {"canary": "+15005550199"}, "x": "+1500555"},
            secrets=secrets,
        )
    )
    assert "500555" not in shown
    assert "canary" not in shown


def test_a_value_that_may_be_encrypted_is_in_no_message(mistakes: Mistakes) -> None:
    shown = mistakes(
        {
            "name": "canary/1",
            "logs": "canary/[",
            "except": "/canary",
            "toNumbers": PHONE,
            "message": "canary $file",
            "mood": "canary",
            "mesage": "canary $key",
        },
        {**PAYMENTS, "name": "canary", "logs": "canary/*.txt"},
        {**BACKUP, "name": "canary", "mode": "canary"},
        secrets=SECRETS,
    )
    assert "canary" not in " ".join(shown)
    assert len(shown) == 9
    assert f"{SET} --secret 'routes[0].logs'" in " ".join(shown)


@pytest.fixture
def stack_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """A function that writes the stack's file with these routes."""
    monkeypatch.setattr(setting_reader, "ROOT", tmp_path)

    def write(*routes: object) -> None:
        content = {"config": {"s3-logs:routes": list(routes)}}
        (tmp_path / "Pulumi.test.yaml").write_text(json.dumps(content))

    return write


def test_a_value_that_stands_in_clear_text_in_the_stacks_file_is_shown(
    mistakes: Mistakes, stack_file: Callable[..., None]
) -> None:
    encrypted = {"secure": "v1:AAAA"}
    stack_file({**PAYMENTS, "logs": "/a/*", "name": encrypted, "toNumbers": encrypted})
    assert mistakes({**PAYMENTS, "logs": "/a/*", "name": "canary/"}, secrets=SECRETS) == [
        f"routes[0].name: {NAME}. -> {SET} --secret 'routes[0].name'",
        'routes[0].logs: "/a/*" begins with a slash, but keys begin without one. '
        f"-> {SET} 'routes[0].logs' 'a/*'",
    ]


def test_a_value_that_differs_from_the_stacks_file_is_not_shown(
    mistakes: Mistakes, stack_file: Callable[..., None]
) -> None:
    """`pulumi --config-file` reads another file, whose value may be a secret."""
    stack_file({**PAYMENTS, "logs": "payments/*"})
    (shown,) = mistakes({**PAYMENTS, "logs": "/canary/*"}, secrets=SECRETS)
    assert "canary" not in shown


@pytest.mark.parametrize("content", ["", "[", "config: 5", "config: {s3-logs:routes: x}", "- a"])
def test_a_stack_file_that_cannot_be_read_tells_nothing(
    mistakes: Mistakes, stack_file: Callable[..., None], content: str
) -> None:
    stack_file()
    (setting_reader.ROOT / "Pulumi.test.yaml").write_text(content)
    (shown,) = mistakes({**PAYMENTS, "logs": "/canary/*"}, secrets=SECRETS)
    assert "canary" not in shown


# Warnings


@pytest.fixture
def warnings(load: Callable[..., None], caplog: pytest.LogCaptureFixture) -> Mistakes:
    """A function that returns the warnings of a preview with these routes."""

    def warnings(*routes: object, **options: Any) -> list[str]:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            load(*routes, **options)
        return [one.getMessage() for one in caplog.records]

    return warnings


def test_a_routes_phones_in_clear_text_are_warned_of(
    warnings: Mistakes, stack_file: Callable[..., None]
) -> None:
    first, second = warnings(PAYMENTS, BACKUP)
    assert first.startswith("routes[0].toNumbers is in the stack's file in clear text")
    assert first.endswith(f": {SET} --secret 'routes[0].toNumbers'")
    assert second.endswith(f": {SET} --secret 'routes[1].toNumbers'")
    assert warnings(PAYMENTS, BACKUP, secrets=SECRETS) == []
    stack_file({**PAYMENTS, "toNumbers": {"secure": "v1:AAAA"}}, BACKUP)
    (only,) = warnings(PAYMENTS, BACKUP, secrets=SECRETS)
    assert only == second


@pytest.mark.parametrize(
    ("exceptions", "idle"),
    [
        ("debug/*", "debug/*"),
        ("*/debug/*, debug/*", "debug/*"),
        ("*.gz", "*.gz"),  # S3 reports none
        ("*/debug/*, */debug/*.log", ""),
        ("*/debug/*", ""),
        ("payments/?/*, payments/??/*", ""),
    ],
)
def test_an_exception_that_leaves_out_nothing_is_warned_of(
    warnings: Mistakes, exceptions: str, idle: str
) -> None:
    found = [one for one in warnings({**PAYMENTS, "except": exceptions}) if "except" in one]
    assert len(found) == bool(idle)
    start = f'routes[0].except: "{idle}" excludes none of the route'
    assert not idle or found[0].startswith(start)


def test_a_number_among_the_exceptions_is_masked_in_the_warning(warnings: Mistakes) -> None:
    _, shown = warnings({**PAYMENTS, "except": OTHER_PHONE})
    assert shown.startswith('routes[0].except: "…0111" excludes none of the route')


def test_an_exception_that_may_be_encrypted_is_in_no_warning(warnings: Mistakes) -> None:
    (shown,) = warnings({**PAYMENTS, "except": "canary"}, secrets=SECRETS)
    assert "canary" not in shown


def test_a_routes_message_that_costs_two_segments_is_warned_of(warnings: Mistakes) -> None:
    found = warnings({**PAYMENTS, "message": "☃ Snow on $key, $size, $time in $bucket"})
    assert [one.split(":")[0] for one in found if "SNOWMAN" in one] == ["routes[0].message"]


def test_a_name_that_texts_americans_by_a_route_is_warned_of(warnings: Mistakes) -> None:
    (shown,) = warnings(PAYMENTS, secrets=SECRETS, fromNumber="S3 Logs", toNumbers="+4915112345678")
    assert "Twilio refuses a text to …0110 (error 21612)" in shown


# The 4 KB of a function's environment


def test_routes_that_are_too_long_are_reported_with_the_size_of_each(mistakes: Mistakes) -> None:
    many = ",".join(f"+1500555{number:08}" for number in range(150))
    (shown,) = mistakes(
        {**PAYMENTS, "message": "x" * 400},
        {**BACKUP, "toNumbers": many},
        {**BACKUP, "name": "third", "logs": "third/*", "message": "y" * 450},
    )
    match = re.fullmatch(
        r"routes\[1\]\.toNumbers: is too long: the settings take ([0-9,]+) bytes of a function's "
        r"environment, but Lambda allows 4,096 \((.*), of routes (.*)\)\. -> (.*)",
        shown,
    )
    assert match
    assert match[4] == f"{SET} {PHONES.replace('0', '1', 1)}"
    sizes = {
        key: int(size.replace(",", ""))
        for key, size in re.findall(r"(\S+|the rest) ([0-9,]+)(?:, |$)", f"{match[2]}, {match[3]}")
    }
    total = int(match[1].replace(",", ""))
    by_route = [sizes.pop(f"routes[{number}]") for number in range(3)]
    assert total == 1 + sum(sizes.values())
    written = len('"ROUTES":"[]",') + sum(by_route) + 2  # commas between them
    assert written == sizes["routes"]


def test_twenty_routes_of_five_phones_fit(load: Callable[..., None]) -> None:
    load(
        *(
            {
                "name": f"team-{number}",
                "logs": f"team-{number}/*.log",
                "toNumbers": ",".join(f"+1500555{number:02}{phone:02}" for phone in range(5)),
            }
            for number in range(20)
        )
    )


@given(field=st.sampled_from(sorted(field_kinds(KINDS))), value=st.text(max_size=12))
def test_a_suggested_value_of_a_field_is_right_itself(field: str, value: str) -> None:
    kind = field_kinds(KINDS)[field]
    better = kind.suggestion(value)
    assert better is None or not kind.problem(better)


# Guides

GUIDES = {name: (ROOT / name).read_text() for name in ("README.md", "docs/routes.md")}


@pytest.mark.parametrize("guide", GUIDES)
def test_the_commands_of_a_guide_set_routes_without_a_mistake_or_a_hint(
    guide: str, warnings: Mistakes, stack_file: Callable[..., None]
) -> None:
    routes = routes_of(GUIDES[guide])
    assert len(routes) == 2
    stack_file(*({**route, "toNumbers": {"secure": "v1:AAAA"}} for route in routes))
    assert warnings(*routes, secrets=SECRETS) == []
    assert all(set(map(type, route.values())) <= {str, int} for route in routes)


def test_the_file_in_the_guide_is_what_its_commands_make() -> None:
    guide = GUIDES["docs/routes.md"]
    (shown,) = re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)
    routes = yaml.safe_load(shown)["config"]["s3-logs:routes"]
    for route in routes:
        assert list(route.pop("toNumbers")) == ["secure"]
    assert routes == [
        {field: value for field, value in route.items() if field != "toNumbers"}
        for route in routes_of(guide)
    ]


def test_the_guide_shows_the_messages_of_the_program() -> None:
    routes = [
        {"name": "payments", "logs": "payments/*.log", "toNumbers": 15557654323},
        {"name": "payments", "logs": "backup/*.gz", "toNumbers": PHONE, "exclude": "*/debug/*"},
        {"name": "web", "logs": "web/*", "toNumbers": PHONE},
        {"name": "all of web", "logs": "web/*.log", "toNumbers": PHONE},
    ]
    with pytest.raises(pulumi.RunError) as caught:
        record(with_routes(*routes), secrets=IN_CLEAR, stack_name="dev")
    assert f"$ pulumi preview\n{caught.value}\n```\n" in GUIDES["docs/routes.md"]


def test_the_guides_table_has_each_field_with_what_takes_its_place() -> None:
    table = section(GUIDES["docs/routes.md"], "## The fields of a route")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]*) \|", table, re.MULTILINE)
    assert [field for field, _ in rows] == list(field_kinds(KINDS))
    for field, without in rows:
        kind = field_kinds(KINDS)[field]
        inherits = FIELDS[field] not in NOT_INHERITED
        assert (without == "the flat setting") == inherits, field
        assert (without == "required") == (kind.required and not inherits), field


def test_a_flat_expected_log_needs_a_flat_phone(mistakes: Mistakes) -> None:
    (mistake,) = mistakes(PAYMENTS, toNumbers="", expect="by 06:30")
    assert "toNumbers: is empty, so nobody would be texted about a missing log (expect)" in mistake


@pytest.mark.parametrize(
    ("expect", "what"),
    [
        ("in the morning", "is not of the form by 06:30"),
        ("every 9m", "is shorter than twice flushMinutes, 10 minutes"),
    ],
)
def test_a_routes_expected_log_is_checked_as_the_flat_one_is(
    mistakes: Mistakes, expect: str, what: str
) -> None:
    (mistake,) = mistakes({**PAYMENTS, "expect": expect})
    assert what in mistake
    assert mistake.endswith(f"{SET} 'routes[0].expect'")


def test_a_route_does_not_inherit_the_flat_expected_log() -> None:
    program = record(with_routes(PAYMENTS, expect="by 06:30", atLeast="1 kB"))
    assert variables(program)["EXPECT"] == "by 06:30"
    (route,) = read_settings(variables(program) | {"TWILIO_SECRET": "a"}).routes
    assert (route.expect, route.at_least) == ("", "")
