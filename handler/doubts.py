"""Find the attempts in doubt that Twilio accepted, by its records of texts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from handler.ledger import ASK_AFTER_SECONDS
from handler.notice import Attempt, fingerprint
from handler.sender import SentText

CLOCKS_DIFFER_SECONDS = 10
"""The largest difference of Twilio's and Lambda's clocks. Twilio's times are whole seconds."""


class Doubt(NamedTuple):
    """An attempt in doubt.

    Attributes:
        text: The id of its text; of a summary, that of the first text that it tells of.
        attempt: The attempt.
    """

    text: str
    attempt: Attempt


def may_ask(attempt: Attempt, now: float) -> bool:
    """Whether an attempt is so old that its sender has ended, and Twilio lists its text."""
    return now >= attempt.at + ASK_AFTER_SECONDS


def since(doubts: Sequence[Doubt]) -> float:
    """Return from when on Twilio may have records of them, in seconds since the epoch."""
    return min(one.attempt.at for one in doubts) - CLOCKS_DIFFER_SECONDS


class Candidates:
    """Twilio's records that may be those of attempts in doubt."""

    def __init__(self, doubts: Sequence[Doubt], texts: Sequence[SentText]) -> None:
        """Select the records.

        Args:
            doubts: The attempts.
            texts: Twilio's records of its texts to the phone.
        """
        self._doubts = sorted(doubts, key=lambda one: one.attempt.at)
        self._by_body: dict[str, list[SentText]] = {
            one.attempt.fingerprint: [] for one in self._doubts
        }
        self._redacted: list[SentText] = []
        lengths = {one.attempt.length for one in self._doubts}
        self._lengths = sorted(lengths, reverse=True)
        for text in sorted(texts, key=lambda text: text.created_at):
            if not text.body:
                self._redacted.append(text)
            elif mark := self._fingerprint_of(text.body.strip()):
                self._by_body[mark].append(text)

    def _fingerprint_of(self, body: str) -> str | None:
        """Return the fingerprint of an attempt at a body; None if there was none.

        A trial account's body begins with a sentence of Twilio's: its end is compared. The longest
        end decides: `b.log` ends `a/b.log`, too.
        """
        for length in self._lengths:
            before, ending = body[:-length], body[-length:]
            mark = fingerprint(ending)
            if mark in self._by_body and (not before or before[-1].isspace()):
                return mark
        return None

    @property
    def sids(self) -> list[str]:
        """Their SIDs, of which the ledger may know some."""
        found = [
            text
            for one in self._doubts
            for text in (*self._with_body(one.attempt), *self._without_body(one.attempt))
        ]
        return list(dict.fromkeys(text.sid for text in found))

    def match(self, owners: Mapping[str, str]) -> dict[str, SentText]:
        """Find the record of each attempt. No record has two attempts.

        By the body, the oldest attempt has the oldest record. Where the account redacts the bodies,
        the time decides: the newest attempt has the newest record, since Twilio may create a record
        up to a minute after its attempt, but hardly before.

        Args:
            owners: By the SIDs that the ledger knows, the ids of their texts.

        Returns:
            By the id of each text that Twilio accepted, its record.
        """
        found: dict[str, SentText] = {}
        taken: set[str] = set()

        def take(doubt: Doubt, records: Iterable[SentText]) -> None:
            fitting = [
                text
                for text in records
                if text.sid not in taken and owners.get(text.sid, doubt.text) == doubt.text
            ]
            # The ledger may know a record as that of this very attempt: then it is no other one.
            fitting.sort(key=lambda text: text.sid not in owners)
            if fitting and doubt.text not in found:
                found[doubt.text] = fitting[0]
                taken.add(fitting[0].sid)

        for one in self._doubts:
            take(one, self._with_body(one.attempt))
        for one in reversed(self._doubts):
            take(one, reversed(self._without_body(one.attempt)))
        return found

    def _with_body(self, attempt: Attempt) -> list[SentText]:
        return _of_its_time(attempt, self._by_body[attempt.fingerprint])

    def _without_body(self, attempt: Attempt) -> list[SentText]:
        return _of_its_time(attempt, self._redacted)


def _of_its_time(attempt: Attempt, texts: Iterable[SentText]) -> list[SentText]:
    """Select the texts that Twilio accepted while the attempt's sender may have run.

    Another stack may send the same words to that phone, later.
    """
    earliest = attempt.at - CLOCKS_DIFFER_SECONDS
    latest = attempt.at + ASK_AFTER_SECONDS + CLOCKS_DIFFER_SECONDS
    return [text for text in texts if earliest <= text.created_at <= latest]
