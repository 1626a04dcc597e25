"""Reading the functions' logs: no line is lost, even if an emulator cuts its answers."""

import datetime
from typing import Any, cast

import pytest

from stack import log_lines
from tests.unit.operated import NOW, Logs, Operated


class CutLogs(Logs):
    """Logs like MiniStack's: an answer has the first events only, and no token."""

    def _pages(self, **asked: Any) -> list[Any]:
        return [{"events": super()._pages(**asked)[0]["events"][: log_lines.MAX_EVENTS]}]


class PagedLogs(Logs):
    """Logs like CloudWatch's: the client follows the tokens from page to page."""

    def _pages(self, **asked: Any) -> list[Any]:
        events, size = super()._pages(**asked)[0]["events"], log_lines.MAX_EVENTS
        return [{"events": events[at : at + size]} for at in range(0, len(events) + 1, size)]


@pytest.mark.parametrize("logs", [Logs, CutLogs, PagedLogs])
@pytest.mark.parametrize("lines", [0, 1, 9, 10, 11, 20, 21, 35])
@pytest.mark.parametrize("lines_a_second", [1, 3, 7])
def test_each_line_is_read_once_however_many_there_are(
    monkeypatch: pytest.MonkeyPatch, logs: type[Logs], lines: int, lines_a_second: int
) -> None:
    monkeypatch.setattr(log_lines, "MAX_EVENTS", 10)
    operated, written = Operated(), logs()
    cast("dict[str, Any]", operated.stack.aws)["logs"] = written
    for number in range(lines):
        at = NOW + datetime.timedelta(seconds=number // lines_a_second)
        written.add("notify", at=at, outcome="sent", key=f"{number}.log")
    read = log_lines.read(operated.stack, since=NOW, functions=["notify"])
    assert [line.text("key") for line in read] == [f"{number}.log" for number in range(lines)]
