"""The texts that the demo draws on its terminal."""

import datetime
import queue

import pytest

from local import demo
from local.twilio_api import Text

PHONE, OTHER_PHONE = "+15005550100", "+15005550101"


class Ended(Exception):
    """An exception that ends the endless reading when no text is left."""


class Arriving(queue.Queue[Text]):
    """A queue of texts in bursts. A `get` with a timeout finds nothing between two bursts."""

    def __init__(self, *bursts: list[str]) -> None:
        super().__init__()
        self.bursts = [[text(phone) for phone in burst] for burst in bursts]

    def get(self, block: bool = True, timeout: float | None = None) -> Text:
        if self.bursts and self.bursts[0]:
            return self.bursts[0].pop(0)
        if timeout is None:
            raise Ended
        self.bursts.pop(0)
        raise queue.Empty


def text(phone: str) -> Text:
    return Text(
        sid="SM1",
        to=phone,
        sender="+15005550006",
        service=None,
        body="New log a.log",
        segments=1,
        time=datetime.datetime(2026, 11, 23, tzinfo=datetime.UTC),
        status="delivered",
        error_code=None,
    )


def test_the_terminal_draws_a_few_texts_of_a_burst_and_counts_the_rest(
    capsys: pytest.CaptureFixture[str],
) -> None:
    drawn: list[str] = []
    storm = [PHONE] * 3 + [OTHER_PHONE] + [PHONE] * 27
    with pytest.raises(Ended):
        demo._show_all(Arriving(storm, [OTHER_PHONE]), lambda one: drawn.append(one.to))
    assert drawn == [PHONE] * 3 + [OTHER_PHONE]
    assert capsys.readouterr().out.split("\n") == [
        f"  … and 1 more text to {OTHER_PHONE}",
        "",
        f"  … and 27 more texts to {PHONE}",
        "",
        "",
    ]
