"""What the commands write to: lines and tables, with nothing raw from outside."""

from collections.abc import Sequence
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ops.printable import printable

Cell = str | tuple[str, str]
"""What stands in a table: a text, or a text and its style."""

LABEL_WIDTH = 13


LONGEST_CELL = 160
"""Characters: an uploader chooses a key, and a few long ones would push all else out of sight."""


class Terminal:
    """A terminal, or a file.

    Whatever is written to it is made printable, and markup in it means nothing. No line is broken
    and none ends in spaces: an address can be copied, and a file be searched.
    """

    def __init__(self, file: IO[str] | None = None, *, width: int | None = None) -> None:
        """Prepare it.

        Args:
            file: Where to write; standard output without.
            width: How wide tables may be; as wide as the terminal without.
        """
        self._console = Console(file=file, width=width, highlight=False)

    def say(self, said: object, style: str = "") -> None:
        """Write a line."""
        self._write(Text(printable(said), style=style))

    def field(self, label: str, said: object, style: str = "") -> None:
        """Write a line that begins with what it is about."""
        name = Text(label.ljust(LABEL_WIDTH), style="bold")
        self._write(name.append(printable(said), style=style))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Write a table. Its cells are cut and folded where they are too wide, not its title."""
        self.say(title, style="italic")
        table = Table()
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*(_cell(one) for one in row))
        for line in self._console.render_lines(table, pad=False):
            parts = [(part.text, part.style or "") for part in line if not part.control]
            self._write(Text.assemble(*parts))

    def _write(self, line: Text) -> None:
        line.rstrip()
        self._console.print(line, soft_wrap=True)


def _cell(cell: Cell) -> Text:
    said, style = (cell, "") if isinstance(cell, str) else cell
    said = printable(said)
    if len(said) > LONGEST_CELL:
        said = said[: LONGEST_CELL // 2] + "…" + said[-LONGEST_CELL // 2 + 1 :]
    return Text(said, style=style)
