"""Routes: the phones for each log. The oracle of the globs is Python's `fnmatch`."""

import fnmatch
import json
import re
import subprocess
import sys
import time
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handler.environment import SettingsError, read_settings
from handler.routes import FIELDS, INHERITED, NO_ROUTE, Glob, Route, Routes, globs, read, write
from simulation.samples import (
    OTHER_PHONE,
    PHONE,
    ROUTED_KEYS,
    environment,
    route,
    settings,
    with_many_routes,
)
from stack import ROOT

THIRD_PHONE = "+15005550102"
MAX_SECONDS_TO_MATCH = 0.001


def routed(*routes: Route, **changes: Any) -> Routes:
    return Routes(settings(routes=routes, **changes))


# Globs

NFC_AND_NFD = ["\u00e9", "e\u0301", "\u00fc", "u\u0308"]
PIECES = ["a", "b", "aa", "/", ".log", "\n", " ", "é", "日", "\U0001f600", *NFC_AND_NFD]
ODD = ["[", "]", "{", "}", "\\", ",", "!", "^", "$", ".", "+", "(", "|"]
keys = st.lists(st.sampled_from(PIECES + ODD)).map("".join)
patterns = st.lists(
    st.sampled_from([*PIECES, "*", "*", "?", "!", "^", "$", ".", "+", "(", "|"])
).map("".join)


def oracle(pattern: str, key: str) -> bool:
    composed = [unicodedata.normalize("NFC", one) for one in (pattern, key)]
    return re.match(fnmatch.translate(composed[0]), composed[1]) is not None


@given(patterns, keys)
@example("*", "")
@example("a", "a\n")
@example("*aa*a", "aaa")
@example("a?*?b", "ab")
@example("a*a", "a")
@example("?", "e\u0301")
@example("\u00e9*", "e\u0301.log")
def test_a_glob_matches_as_fnmatch_does_once_both_are_composed(pattern: str, key: str) -> None:
    composed = unicodedata.normalize("NFC", key)
    assert Glob(pattern).matches(composed) == oracle(pattern, key)


@given(st.lists(st.sampled_from(["a", "b", "*", "?"]), max_size=8), st.text("ab", max_size=12))
@example(["*", "a", "*", "a", "*"], "a")
@example(["*", "a", "b", "*", "b", "a", "*"], "aba")
def test_a_glob_of_few_letters_matches_as_fnmatch_does(pattern: list[str], key: str) -> None:
    assert Glob("".join(pattern)).matches(key) == oracle("".join(pattern), key)


@given(keys)
def test_a_glob_made_of_a_key_matches_that_key(key: str) -> None:
    pattern = re.sub(r"[\[\]{}\\,]", "?", key)
    assert Glob(pattern).matches(unicodedata.normalize("NFC", key))


@pytest.mark.parametrize(
    ("pattern", "key"),
    [
        ("a*" * 512, "a" * 1023 + "b"),
        ("*a" * 511 + "b", "a" * 1024),
        ("*" + "a" * 500 + "b*", "a" * 1024),
        ("*" + "?" * 500 + "b*", "a" * 1024),
        ("?*" * 512, "a" * 1024),
        ("*?a" * 341, "a" * 1023 + "b"),
        ("a?*" * 341, "a" * 1024),
        ("*" * 1024, "\u00e9" * 512),
        ("*" + "\u00e9?" * 300 + "*", "\u00e9" * 512),
        ("*/debug/*", "/debug" * 170),
    ],
)
def test_no_glob_takes_longer_than_a_millisecond(pattern: str, key: str) -> None:
    """The fastest of 20 tries counts, as other processes slow some down."""
    glob = Glob(pattern)
    took = min(_seconds(glob.matches, key) for _ in range(20))
    assert took < MAX_SECONDS_TO_MATCH


def _seconds(work: Callable[[str], object], key: str) -> float:
    started = time.thread_time()
    work(key)
    return time.thread_time() - started


@pytest.mark.parametrize("pattern", ["[ab].log", "a].log", "{a,b}.log", "a}", "a\\*b"])
def test_a_wildcard_of_other_tools_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"in a glob: only \* \(any characters, / too\) and \?"):
        globs(pattern)


def test_a_glob_longer_than_any_key_is_refused() -> None:
    Glob("a" * 1024)
    with pytest.raises(ValueError, match="1,025 characters, longer than any key"):
        Glob("a" * 1025)


def test_globs_are_separated_by_commas() -> None:
    assert [glob.pattern for glob in globs(" a/*.log, b/* ,,c,")] == ["a/*.log", "b/*", "c"]
    assert globs("") == ()


# Matching


def test_a_log_goes_to_every_route_that_it_matches() -> None:
    routes = routed(
        route("payments", "payments/*.log", PHONE),
        route("backup", "backup/*", OTHER_PHONE),
        route("nights", "*/night/*, *.err", THIRD_PHONE),
    )
    found = routes.matching("payments/night/a.log")
    assert [one.name for one in found] == ["payments", "nights"]
    assert [one.name for one in routes.matching("x.err")] == ["nights"]


@pytest.mark.parametrize("glob", NFC_AND_NFD[:2])
@pytest.mark.parametrize("key", NFC_AND_NFD[:2])
def test_a_log_matches_however_its_accents_are_written(glob: str, key: str) -> None:
    routes = routed(route("accents", f"{glob}*", PHONE, except_=f"*{glob}"))
    assert routes.matching(f"{key}.log")[0].name == "accents"
    assert routes.matching(f"{key}.log{key}") == [routes.others]


def test_an_exception_wins() -> None:
    routes = routed(route("payments", "payments/*", PHONE, except_="*/debug/*, *.tmp"))
    assert routes.matching("payments/a.log")[0].name == "payments"
    assert routes.matching("payments/debug/a.log") == [routes.others]
    assert routes.matching("payments/a.tmp") == [routes.others]


def test_a_log_that_matches_no_route_goes_to_the_flat_phones() -> None:
    routes = routed(route("payments", "payments/*", OTHER_PHONE), to_numbers=(PHONE,))
    assert routes.phones("app/a.log") == {PHONE: routes.others}
    assert routes.others.label == NO_ROUTE
    assert routes.others.message == settings().message


def test_a_log_that_matches_no_route_goes_to_nobody_where_there_are_no_flat_phones() -> None:
    routes = routed(route("payments", "payments/*", OTHER_PHONE), to_numbers=())
    assert routes.phones("app/a.log") == {}


def test_a_phone_of_several_routes_belongs_to_the_first_that_matches() -> None:
    one = route("one", "*.log", PHONE, message="one")
    two = route("two", "app/*", PHONE, OTHER_PHONE, message="two")
    assert routed(one, two).phones("app/a.log") == {PHONE: one, OTHER_PHONE: two}
    assert routed(two, one).phones("app/a.log") == {PHONE: two, OTHER_PHONE: two}
    assert routed(one, two).phones("app/a.txt") == {PHONE: two, OTHER_PHONE: two}


PHONES = [f"+1500555010{number}" for number in range(6)]
few_routes = st.lists(
    st.builds(
        lambda logs, exceptions, phones: route(
            "", ",".join(logs), *phones, except_=",".join(exceptions)
        ),
        st.lists(st.sampled_from(["a*", "*b", "*a*", "?b*", "*"]), min_size=1, max_size=2),
        st.lists(st.sampled_from(["b*", "*a", "ab"]), max_size=2),
        st.lists(st.sampled_from(PHONES), min_size=1, unique=True),
    ),
    max_size=5,
).map(lambda routes: [one._replace(name=f"r{at}") for at, one in enumerate(routes)])


@given(few_routes, st.text("ab/", min_size=1, max_size=4), st.randoms())
def test_each_phone_of_each_matching_route_gets_a_log_once_in_any_order_of_routes(
    routes: list[Route], key: str, random: Any
) -> None:
    def is_matched(one: Route) -> bool:
        logs, exceptions = (
            any(oracle(glob, key) for glob in value.split(",") if glob)
            for value in (one.logs, one.except_)
        )
        return logs and not exceptions

    random.shuffle(routes)
    found = routed(*routes, to_numbers=(PHONE,)).phones(key)
    matching = [one for one in routes if is_matched(one)]
    wanted = {phone for one in matching for phone in one.to_numbers} if matching else {PHONE}
    assert set(found) == wanted
    for phone, chosen in found.items():
        named = [one for one in matching if phone in one.to_numbers]
        assert chosen == (named[0] if named else Routes(settings(to_numbers=(PHONE,))).others)


MAX_SECONDS_TO_ROUTE = 0.0005
"""Ten times the limit of `python -m bench routes`, as other processes take time too."""


def test_routing_a_log_by_twenty_routes_takes_little_time() -> None:
    routes = Routes(with_many_routes())
    assert [len(routes.phones(key)) for key in ROUTED_KEYS] == [5, 5, 2, 5, 2]
    for key in ROUTED_KEYS:
        took = min(_seconds(routes.phones, key) for _ in range(20))
        assert took < MAX_SECONDS_TO_ROUTE


# Settings


def test_without_routes_the_flat_settings_are_the_route_of_every_log() -> None:
    flat = settings()
    assert flat.phones_of("any/key.log") == {PHONE: flat, OTHER_PHONE: flat}
    assert flat.label == ""
    assert flat.phones == flat.to_numbers


def test_with_routes_the_phones_are_those_of_all_routes() -> None:
    routes = (route("one", "a*", OTHER_PHONE, THIRD_PHONE), route("two", "*", PHONE))
    changed = settings(to_numbers=(OTHER_PHONE,), routes=routes)
    assert changed.phones == (OTHER_PHONE, THIRD_PHONE, PHONE)
    assert changed.phones_of("b") == {PHONE: routes[1]}


def test_the_variable_has_the_fields_of_the_stacks_file_that_differ_from_the_flat_settings() -> (
    None
):
    flat = settings(quiet_hours="22:00-07:00")
    one = route("payments", "payments/*", PHONE, OTHER_PHONE, flat=flat, except_="*/debug/*")
    two = route("é", "*", flat=flat, quiet_hours="", max_texts_per_hour=60)
    assert write([one, two], flat) == (
        '[{"name":"payments","logs":"payments/*","except":"*/debug/*",'
        f'"toNumbers":"{PHONE},{OTHER_PHONE}"}},'
        '{"name":"é","logs":"*","maxTextsPerHour":60,"quietHours":"none"}]'
    )


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
some_routes = st.lists(
    st.builds(
        Route,
        name=words,
        logs=words,
        except_=words,
        to_numbers=st.lists(st.sampled_from(PHONES), max_size=3).map(tuple),
        message=words.filter(bool),
        mode=st.sampled_from(["instant", "digest"]),
        max_texts_per_hour=st.integers(1, 50),
        max_texts_at_once=st.integers(1, 50),
        quiet_hours=st.sampled_from(["", "22:00-07:00"]),
        contains=words,
        expect=words,
        at_least=words,
    ),
    min_size=1,
    max_size=3,
).map(tuple)


@given(some_routes, st.sampled_from(["", "22:00-07:00", "01:00-02:00"]))
def test_the_handler_reads_the_routes_that_the_program_writes(
    routes: tuple[Route, ...], quiet_hours: str
) -> None:
    wanted = settings(routes=routes, quiet_hours=quiet_hours)
    assert read_settings(environment(wanted)) == wanted


def test_without_routes_there_is_no_variable_and_no_import() -> None:
    assert write([], settings()) == ""
    variables = environment(settings())
    assert "ROUTES" not in variables
    code = f"""
import sys
from handler.environment import read_settings
read_settings({variables!r}).phones_of("a.log")
assert "handler.routes" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_with_routes_the_flat_phones_may_be_missing() -> None:
    wanted = settings(to_numbers=(), routes=(route("one", "*", PHONE),))
    assert read_settings(environment(wanted)) == wanted
    with pytest.raises(SettingsError, match=r"lacks TO_NUMBERS\."):
        read_settings(environment(settings(to_numbers=())))


def test_a_field_of_a_newer_program_is_ignored() -> None:
    found = read('[{"name":"a","logs":"*","toNumbers":"+15005550100","colour":"red"}]', settings())
    assert found == (route("a", "*", PHONE),)


@pytest.mark.parametrize("value", ["{", "1", '[["a"]]', '{"a": 1}', "[1]"])
def test_a_variable_that_is_no_array_of_routes_is_refused_without_its_content(value: str) -> None:
    variables = environment(settings()) | {"ROUTES": value}
    with pytest.raises(SettingsError, match=r"^ROUTES .* is not an array of routes\.$"):
        read_settings(variables)


def test_no_number_shows_in_a_route() -> None:
    assert repr(route("one", "*", PHONE)) == "Route('one')"


def test_every_field_has_the_name_of_its_setting() -> None:
    assert list(FIELDS) == [
        *("name", "logs", "except", "toNumbers", "message", "mode", "maxTextsPerHour"),
        *("maxTextsAtOnce", "quietHours", "contains", "expect", "atLeast"),
    ]
    assert json.dumps(INHERITED).count("_numbers") == 0
