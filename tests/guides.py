"""The documents, their commands, and the tests that run the commands."""

import re
import shlex
import subprocess
from functools import cache
from typing import Any, NamedTuple

from stack import ROOT

DOCUMENTS = tuple(
    str(path.relative_to(ROOT)) for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
)
NOT_TRIED = re.compile(r"#.*\bnot tried\b")
"""The comment that marks a command without a test. In a sentence the words alone mark it."""

BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

GUIDES = "tests/engine/test_guides.py"
ENGINE = "tests/engine/test_engine.py"
OPS = "tests/local/test_ops.py"

RUN_BY = (
    (
        "make demo",
        "tests/local/test_demo.py::test_a_demo_prints_what_the_readme_shows_and_takes_uploads_until_it_is_stopped",
    ),
    (
        "make emulator",
        "tests/local/test_demo.py::"
        "test_the_emulator_alone_listens_where_the_stack_local_expects_it",
    ),
    ("make status", f"{OPS}::test_status_shows_sent_held_and_failed_texts_with_their_reasons"),
    (
        "make explain",
        "tests/local/test_explain.py::"
        "test_explain_reads_what_the_deployed_stack_knows_and_sends_nothing",
    ),
    ("make smoke", f"{OPS}::test_smoke_follows_a_log_to_its_delivery_and_removes_it"),
    (
        "make redrive|make flush",
        f"{OPS}::test_failed_events_are_redriven_and_flushed_with_one_command_each",
    ),
    ("make tail", f"{OPS}::test_tail_gives_each_line_once_as_it_comes"),
    (
        "make help",
        "tests/unit/test_makefile.py::"
        "test_help_names_seven_commands_of_a_user_before_those_of_a_developer",
    ),
    (
        "make screenshots",
        "tests/unit/test_page.py::test_the_readmes_pictures_are_not_older_than_the_page",
    ),
    ("make check|make pulumi", ".ci/run"),
    ("make judges", "Makefile"),
    (
        "pulumi config set twilioSecret plain",
        f"{ENGINE}::test_a_secret_in_plain_text_is_refused",
    ),
    ("pulumi preview(?! --refresh)", f"{ENGINE}::test_a_preview_of_an_empty_stack_creates_nothing"),
    ("pulumi up", f"{ENGINE}::test_up_creates_the_stack_and_a_log_is_texted"),
    ("pulumi destroy", f"{ENGINE}::test_a_forced_destroy_leaves_nothing"),
    (
        "pulumi stack output",
        f"{ENGINE}::test_the_operators_commands_find_the_stack_by_pulumis_cli",
    ),
    (r"pulumi (login \S+|stack (init|select)|config)\b", GUIDES),
    (r"(aws|gh|python3)\b|\w+=|export\b|for\b|(environment|role)\b", GUIDES),
)
"""Patterns of commands, each with the test or the file that runs them. The first match counts."""


class Command(NamedTuple):
    """A command in a document.

    Attributes:
        document: The document.
        text: The command, without its prompt; it may have several lines.
    """

    document: str
    text: str

    @property
    def is_tried(self) -> bool:
        """Whether a test must run the command: the document does not mark it."""
        return not NOT_TRIED.search(self.text)

    @property
    def run_by(self) -> str:
        """The test or file that runs it, or ""."""
        found = (test for pattern, test in RUN_BY if re.match(pattern, self.text))
        return next(found, "") if self.is_tried else ""


@cache
def blocks(document: str) -> list[list[Command]]:
    """Return the commands of a document, grouped by block."""
    text = (ROOT / document).read_text()
    shown = [content for kind, content in BLOCK.findall(text) if kind in {"console", "sh"}]
    return [[Command(document, one) for one in _commands(content)] for content in shown]


def commands(*documents: str) -> list[Command]:
    """Return the commands of these documents, or of all documents."""
    return [
        command
        for document in documents or DOCUMENTS
        for block in blocks(document)
        for command in block
    ]


def inline(document: str) -> list[Command]:
    """Return the commands in the sentences of a document. A mark in the line marks all of them."""
    lines = BLOCK.sub("", (ROOT / document).read_text()).splitlines()
    return [
        Command(document, text + ("  # not tried" if "not tried" in line else ""))
        for line in lines
        for code in re.findall(r"`([^`]+)`", line)
        for text in code.split(" && ")
        if re.match(r"(pulumi|make|aws|gh|git) [a-z]", text)
    ]


def _commands(block: str) -> list[str]:
    """Return the commands of a block, each with all its lines."""
    found: list[str] = []
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        ends = range(1, len(lines) + 1)
        complete = (n for n in ends if _is_complete("\n".join(lines[:n])))
        found.append("\n".join(lines[: next(complete, len(lines))]))
    return found


def _is_complete(text: str) -> bool:
    """Whether the shell needs no more lines. It only warns about an open here-document."""
    checked = subprocess.run(
        ["bash", "-n", "-c", text], capture_output=True, text=True, check=False
    )
    return not (text.endswith("\\") or checked.returncode or checked.stderr)


def section(guide: str, heading: str) -> str:
    """Return a section of a guide, up to the next heading."""
    return guide.partition(f"\n{heading}\n")[2].partition("\n#")[0]


def route_commands(guide: str) -> list[list[str]]:
    """Return the commands in a guide that set a field of a route, each as a list of words."""
    lines = re.findall(r"^\$ (pulumi config set .*routes\[.*)$", guide, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def routes_of(guide: str) -> list[dict[str, Any]]:
    """Return the routes that the commands in a guide set, as the CLI passes them to the program.

    `tests/engine` runs the same commands by the CLI itself.
    """
    routes: list[dict[str, Any]] = []
    for command in route_commands(guide):
        path, value = command[-2:]
        number, field = re.fullmatch(r"routes\[([0-9]+)\]\.(\w+)", path).groups()  # type: ignore[union-attr]  # another path is a mistake in the guide
        if int(number) == len(routes):
            routes.append({})
        is_number = "--secret" not in command and re.fullmatch(r"\+?[0-9]+", value)
        routes[int(number)][field] = int(value) if is_number else value
    return routes
