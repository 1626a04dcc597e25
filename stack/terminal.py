"""The output of the commands: lines and tables, without control characters."""

from collections.abc import Sequence
from typing import IO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from stack.printable import printable

Cell = str | tuple[str, str]
"""A cell of a table: a text, or a text and its style."""

LABEL_WIDTH = 13

MAX_CELL_CHARACTERS = 160
"""Longer cells are cut: a few long keys would push everything else out of sight."""


class Terminal:
    """A terminal, or a file.

    It makes every text printable, and shows markup literally. It breaks no line and ends no line
    with spaces: an address can be copied, and a file searched.
    """

    def __init__(self, file: IO[str] | None = None, *, width: int | None = None) -> None:
        """Prepare it.

        Args:
            file: Where to write; standard output by default.
            width: The most columns of a table; those of the terminal by default.
        """
        self._console = Console(file=file, width=width, highlight=False)

    def say(self, text: object, style: str = "") -> None:
        """Write a line."""
        self._write(Text(printable(text), style=style))

    def field(self, label: str, text: object, style: str = "") -> None:
        """Write a line that begins with a label."""
        name = Text(label.ljust(LABEL_WIDTH), style="bold")
        self._write(name.append(printable(text), style=style))

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> None:
        """Write a table. Long cells are cut and folded; the title is not."""
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
    text, style = (cell, "") if isinstance(cell, str) else cell
    text = printable(text)
    if len(text) > MAX_CELL_CHARACTERS:
        text = text[: MAX_CELL_CHARACTERS // 2] + "…" + text[-MAX_CELL_CHARACTERS // 2 + 1 :]
    return Text(text, style=style)
