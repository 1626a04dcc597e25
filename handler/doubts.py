"""Which attempts in doubt Twilio accepted: its records of texts against the ledger's attempts."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from handler.ledger import ASK_AFTER_SECONDS
from handler.notice import Attempt, fingerprint
from handler.sender import SentText

CLOCKS_DIFFER_SECONDS = 10
"""How far Twilio's clock and Lambda's may be apart. Twilio's times are whole seconds, too."""


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
        for text in sorted(texts, key=lambda text: text.created_at):
            if not text.body:
                self._redacted.append(text)
            # A trial account's body begins with words of Twilio's: its end is compared.
            for ending in {text.body[-length:] for length in lengths}:
                self._by_body.get(fingerprint(ending), []).append(text)

    @property
    def sids(self) -> list[str]:
        """Their SIDs, of which the ledger may know some."""
        found = [text for one in self._doubts for text in self._fitting(one.attempt)]
        return list(dict.fromkeys(text.sid for text in found))

    def match(self, owners: Mapping[str, str]) -> dict[str, SentText]:
        """Find the record of each attempt, the oldest attempt first. No record has two attempts.

        Args:
            owners: By the SIDs that the ledger knows, the ids of their texts.

        Returns:
            By the id of each text that Twilio accepted, its record.
        """
        found: dict[str, SentText] = {}
        taken: set[str] = set()
        for text_id, attempt in self._doubts:
            fitting = [
                text
                for text in self._fitting(attempt)
                if text.sid not in taken and owners.get(text.sid, text_id) == text_id
            ]
            # The ledger may know a record as that of this very attempt: then it is no other one.
            fitting.sort(key=lambda text: text.sid not in owners)
            if fitting:
                found[text_id] = fitting[0]
                taken.add(fitting[0].sid)
        return found

    def _fitting(self, attempt: Attempt) -> list[SentText]:
        earliest = attempt.at - CLOCKS_DIFFER_SECONDS
        latest = attempt.at + ASK_AFTER_SECONDS
        # Where the account redacts the bodies, the time decides.
        named = self._by_body[attempt.fingerprint]
        return [text for text in named if text.created_at >= earliest] + [
            text for text in self._redacted if earliest <= text.created_at <= latest
        ]
