"""The possible matches of globs are computed exactly, not sampled."""

import itertools
import time
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from handler.routes import Glob
from infra import globs
from infra.globs import Filter, Logs, are_covered, may_match

ANY = Filter("", [""])
LOGS = Filter("", [".log", ".log.gz"])


@pytest.mark.parametrize(
    ("glob", "filter_", "expected"),
    [
        ("payments/*.log", LOGS, True),
        ("payments/*", LOGS, True),
        ("payments/*.log.gz", LOGS, True),
        ("*", LOGS, True),
        ("?.log", LOGS, True),
        (".log", LOGS, True),
        ("payments/*.txt", LOGS, False),
        ("payments/web.log.1", LOGS, False),
        ("payments/*.lo?", LOGS, True),
        ("payments/*.log?", LOGS, False),
        ("????", LOGS, True),
        ("???", LOGS, False),
        ("payments/*", Filter("app/", [""]), False),
        ("*/payments/*", Filter("app/", [""]), True),
        ("a*", Filter("app/", [""]), True),
        ("app", Filter("app/", [""]), False),
        ("app/a.log", Filter("app/a.log", [".log"]), True),  # prefix and suffix overlap
        ("a?b", Filter("a?", ["b"]), True),  # a ? in a prefix is no wildcard
        ("axb", Filter("a?", ["b"]), False),
        ("\u00e9*", Filter("e", [""]), True),  # e and an accent compose
        ("\u00e9*", Filter("a", [""]), False),
        ("?x", Filter("e\u0301", ["x"]), True),
        ("caf\u00e9/*", Filter("cafe\u0301/", [".log"]), True),
        ("cafe/*", Filter("caf\u00e9/", [".log"]), False),
        ("a?b", Filter("", ["e\u0301b"]), True),  # ? matches a letter with its accent
        ("\u0229*", Filter("e\u0301", [""]), True),  # NFC moves a cedilla before the accent
    ],
)
def test_a_glob_matches_a_key_that_the_filter_lets_through(
    glob: str, filter_: Filter, expected: bool
) -> None:
    assert may_match(glob, filter_) is expected


@pytest.mark.parametrize(
    ("logs", "others", "expected"),
    [
        (Logs(["a/*"]), [Logs(["*"])], True),
        (Logs(["*"]), [Logs(["a/*"])], False),
        (Logs(["a/*.log"]), [Logs(["a/*"], ["*.txt"])], True),
        (Logs(["a/*"]), [Logs(["a/*"], ["*.txt"])], True),  # S3 reports no .txt
        (Logs(["a/*"]), [Logs(["a/*"], ["*.gz"])], False),
        (Logs(["a/*"]), [Logs(["a/*.log"]), Logs(["*.gz"])], True),  # both together
        (Logs(["a/*"]), [Logs(["a/*.log"]), Logs(["b/*"])], False),
        (Logs(["a/*"]), [Logs(["b/*"]), Logs(["*"])], True),
        (Logs(["a/*"], ["*/b/*"]), [Logs(["a/*"], ["a/b/*"])], True),
        (Logs(["a/*"], ["a/b/*"]), [Logs(["a/*"], ["*/b/*"])], False),
        (Logs(["a/?*"]), [Logs(["a/*"])], True),
        (Logs(["a/*"], ["a*"]), [], True),
        (Logs(["a/*"], ["a/*.log"]), [], False),
        (Logs(["a/*"], ["*.log", "*.gz"]), [], True),
        (Logs(["\u00e9/*"]), [Logs(["e\u0301/*"])], True),
    ],
)
def test_logs_are_covered_if_others_together_have_them_all(
    logs: Logs, others: list[Logs], expected: bool
) -> None:
    assert are_covered(logs, LOGS, others) is expected


def test_with_a_prefix_that_may_compose_with_what_follows_nothing_is_certain() -> None:
    """A key of e, accent and x has the prefix e, but does not match e*, as it is composed."""
    assert not are_covered(Logs(["*"]), Filter("e", [""]), [Logs(["e*"])])
    assert are_covered(Logs(["*"]), Filter("e/", [""]), [Logs(["e/*"])])
    assert not are_covered(Logs(["*"]), Filter("\u00e9/", [""]), [Logs(["\u00e9/*"])])


LETTERS = "ab/.e\u0301\u0327\u00e9"
GLOBS = st.text(alphabet="ab/.*?e\u0301\u0327\u00e9", max_size=6)
ENDS = st.text(alphabet=LETTERS, max_size=3)
KEYS = st.text(alphabet=LETTERS, max_size=8)


def matches(glob: str, key: str) -> bool:
    return Glob(glob).matches(unicodedata.normalize("NFC", key))


@given(glob=GLOBS, prefix=ENDS, suffixes=st.lists(ENDS, min_size=1, max_size=2), middle=KEYS)
@example(glob="\u00e9*", prefix="e", suffixes=[""], middle="\u0301")
def test_no_key_matches_a_glob_that_is_said_to_match_none(
    glob: str, prefix: str, suffixes: list[str], middle: str
) -> None:
    if not may_match(glob, Filter(prefix, suffixes)):
        assert not any(matches(glob, prefix + middle + suffix) for suffix in suffixes)


WORDS = ["".join(word) for length in range(7) for word in itertools.product("abc", repeat=length)]
"""All keys of up to six characters. No glob below contains the letter c."""


@given(
    glob=st.text(alphabet="ab?*", max_size=3),
    prefix=st.text(alphabet="ab", max_size=2),
    suffix=st.text(alphabet="ab", max_size=1),
)
def test_in_ascii_the_answer_is_exact(glob: str, prefix: str, suffix: str) -> None:
    """A glob and filter this short match one of these short keys, or no key at all."""
    found = any(
        word.startswith(prefix) and word.endswith(suffix) and matches(glob, word) for word in WORDS
    )
    assert may_match(glob, Filter(prefix, [suffix])) is found


ROUTES = st.builds(Logs, st.lists(GLOBS, min_size=1, max_size=2), st.lists(GLOBS, max_size=2))


@given(
    logs=ROUTES,
    prefix=ENDS,
    suffix=ENDS,
    others=st.lists(ROUTES, max_size=3),
    middle=KEYS,
)
def test_covered_logs_have_no_key_that_the_others_lack(
    logs: Logs, prefix: str, suffix: str, others: list[Logs], middle: str
) -> None:
    def includes(one: Logs, key: str) -> bool:
        return any(matches(glob, key) for glob in one.globs) and not any(
            matches(glob, key) for glob in one.exceptions
        )

    key = prefix + middle + suffix
    if includes(logs, key) and are_covered(logs, Filter(prefix, [suffix]), others):
        assert any(includes(one, key) for one in others)


def test_a_search_that_takes_too_long_ends_in_favour_of_the_route() -> None:
    hard = [f"*{letter}?????????????*" for letter in "abcdefgh"]
    started = time.monotonic()
    assert not are_covered(Logs(["*a?????????????b"]), ANY, [Logs(hard[1:])])
    assert may_match("*a" + "?" * 20 + "b*c", Filter("c" * 30, ["d"])) in {True, False}
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("states", [1, 2])
def test_what_is_undecided_is_no_mistake(states: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(globs, "MAX_STATES", states)
    assert may_match("a*.txt", LOGS)
    assert not are_covered(Logs(["a/*"]), LOGS, [Logs(["*"])])


def test_twenty_routes_of_one_phone_are_checked_in_time() -> None:
    routes = [
        Logs([f"team-{number}/*.log", f"*/team-{number}/*"], ["*/debug/*"]) for number in range(20)
    ]
    started = time.monotonic()
    for number, route in enumerate(routes):
        assert not are_covered(route, LOGS, routes[:number])
        assert are_covered(route, LOGS, [*routes, Logs(["*"])])
    assert time.monotonic() - started < 60
