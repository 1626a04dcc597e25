"""Decides which keys globs can match, by state machines of the globs and without sample keys.

A glob is one of `handler.routes`: `*` stands for any characters, `?` for one.
"""

import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

MAX_STATES = 2000
"""A search ends undecided after this many states, about a second."""

_ANY, _ONE = "any", "one"
"""The wildcards; longer than a character, since the ends of a key may hold `*` and `?`."""

_COMPOSING = "<=>"
"""The signs of ASCII that compose with a combining character (NFC), as letters do."""

Matches = Sequence[bool]
"""For each of some patterns, whether it matches a key, or may match a longer one."""


class Logs(NamedTuple):
    """The keys that match one of some globs, but none of others: the logs of a route."""

    globs: Sequence[str]
    exceptions: Sequence[str] = ()


class Filter(NamedTuple):
    """The keys that S3 reports: with a prefix, and with one of several suffixes."""

    prefix: str
    suffixes: Sequence[str]

    @property
    def patterns(self) -> list[list[str]]:
        """The pattern of the prefix, then those of the suffixes."""
        return [[*self.prefix, _ANY], *([_ANY, *suffix] for suffix in self.suffixes)]

    def passes(self, matches: Matches) -> bool:
        """Whether S3 reports a key or may report a longer one, by the matches of `patterns`."""
        return matches[0] and any(matches[1 : len(self.suffixes) + 1])


class UndecidedError(Exception):
    """There are too many states to search them all."""


def may_match(glob: str, filter_: Filter) -> bool:
    """Say whether a glob matches any key that S3 reports.

    S3 compares the key as it is; the handler composes it first (NFC). For ASCII the answer is
    exact. For other characters True may be wrong, but never False.
    """
    prefix, suffixes = filter_
    if not all(one.isascii() for one in (glob, prefix, *suffixes)):
        # A composed character is several decomposed ones: a letter and its marks.
        glob = unicodedata.normalize("NFD", glob).replace("?", "?*")
        prefix = _without_marks(unicodedata.normalize("NFD", prefix)[::-1])[::-1]
        suffixes = [_without_marks(unicodedata.normalize("NFD", suffix)) for suffix in suffixes]
    loose = Filter(prefix, suffixes)

    def wanted(matches: Matches) -> bool:
        return loose.passes(matches) and matches[-1]

    try:
        return _find_key([*loose.patterns, _pattern(glob)], wanted, wanted) is not None
    except UndecidedError:
        return True


def are_covered(logs: Logs, filter_: Filter, others: Sequence[Logs] = ()) -> bool:
    """Say whether other logs together include all that S3 reports of these logs.

    False if that is uncertain. Without others, say whether S3 reports none of these logs.
    """
    # Nearly always one of them is enough, and takes far fewer states than all together.
    if len(others) > 1 and any(are_covered(logs, filter_, [one]) for one in others):
        return True
    # The next character of a key may compose with the last one of a prefix, and a suffix may
    # compose anywhere.
    loose = Filter(
        filter_.prefix if filter_.prefix.isascii() else "",
        filter_.suffixes if all(map(str.isascii, filter_.suffixes)) else [""],
    )
    patterns = loose.patterns
    if (last := loose.prefix[-1:]).isalnum() or (last and last in _COMPOSING):
        patterns[0][-2] = _ONE

    def numbered(globs: Sequence[str]) -> list[int]:
        added = [_pattern(unicodedata.normalize("NFC", glob)) for glob in globs]
        patterns.extend(one for one in added if one not in patterns)
        return [patterns.index(one) for one in added]

    def including(one: Logs) -> Callable[[Matches], bool]:
        globs, exceptions = numbered(one.globs), numbered(one.exceptions)
        return lambda matches: (
            any(matches[number] for number in globs)
            and not any(matches[number] for number in exceptions)
        )

    own = numbered(logs.globs)
    is_own = including(logs)
    own_patterns = list(patterns)
    are_others = [including(one) for one in others]

    def is_reported(matches: Matches) -> bool:
        return loose.passes(matches) and is_own(matches)

    def wanted(matches: Matches) -> bool:
        return is_reported(matches) and not any(one(matches) for one in are_others)

    def possible(matches: Matches) -> bool:
        return loose.passes(matches) and any(matches[number] for number in own)

    try:
        # Usually the first key found is in no other logs.
        key = _find_key(own_patterns, is_reported, possible)
        if key is None or wanted(_matches(patterns, key)):
            return key is None
        return _find_key(patterns, wanted, possible) is None
    except UndecidedError:
        return False


class _Automaton:
    """Matches one pattern character by character.

    A state is a number whose bits say how much of the pattern may be matched: bit n for its first n
    characters. It is 0 once the pattern can no longer match.

    Attributes:
        literals: The characters of the pattern, without its wildcards.
    """

    def __init__(self, pattern: Sequence[str]) -> None:
        self._one, self._any, self._last = 0, 0, 1
        self._literal: dict[str, int] = {}
        for token in pattern:
            if token == _ANY:
                self._any |= self._last
                continue
            if token == _ONE:
                self._one |= self._last
            else:
                self._literal[token] = self._literal.get(token, 0) | self._last
            self._last <<= 1
        self.literals = self._literal.keys()

    def step(self, state: int, character: str) -> int:
        """Return the state after one more character."""
        moving = state & (self._one | self._literal.get(character, 0))
        return moving << 1 | state & self._any

    def matches(self, state: int) -> bool:
        """Whether the pattern matches the characters that led to this state."""
        return bool(state & self._last)


def _pattern(glob: str) -> list[str]:
    return [{"*": _ANY, "?": _ONE}.get(character, character) for character in glob]


def _find_key(
    patterns: Sequence[Sequence[str]],
    wanted: Callable[[Matches], bool],
    possible: Callable[[Matches], bool],
) -> str | None:
    """Find a shortest key with wanted matches; None if there is none.

    Args:
        patterns: The patterns.
        wanted: Says whether a key is wanted, from whether each pattern matches it.
        possible: Says whether a longer key may be wanted, from whether each pattern still may
            match it.

    Raises:
        UndecidedError: There are too many states to search them all.
    """
    automata = [_Automaton(pattern) for pattern in patterns]
    literals = sorted({one for automaton in automata for one in automaton.literals})
    # One character that is in no pattern stands for all such characters.
    alphabet = [next(one for one in _characters() if one not in literals), *literals]
    reached = {(1,) * len(automata)}
    waiting = [((1,) * len(automata), "")]
    for states, key in waiting:  # grows while it is read: the shortest keys first
        if wanted([one.matches(state) for one, state in zip(automata, states, strict=True)]):
            return key
        for character in alphabet:
            after = tuple(
                one.step(state, character) for one, state in zip(automata, states, strict=True)
            )
            if after in reached or not possible([state > 0 for state in after]):
                continue
            if len(reached) >= MAX_STATES:
                raise UndecidedError
            reached.add(after)
            waiting.append((after, key + character))
    return None


def _matches(patterns: Sequence[Sequence[str]], key: str) -> Matches:
    found = []
    for automaton in map(_Automaton, patterns):
        state = 1
        for character in key:
            state = automaton.step(state, character)
        found.append(automaton.matches(state))
    return found


def _characters() -> Iterator[str]:
    yield from "xyzabcdefghijklmnopqrstuvw"
    yield from map(chr, range(0xE000, 0xF900))  # in no alphabet


def _without_marks(end: str) -> str:
    """Leave out the marks that an end begins with, which may come in another order in a key."""
    return end.lstrip("".join(one for one in set(end) if unicodedata.combining(one)))
