"""The documents: tests run their commands, and the names in them exist."""

import re
import shlex

import pytest

from infra.alarms import alarms
from infra.route_settings import field_kinds
from infra.settings import KINDS
from stack import ROOT
from tests import guides
from tests.guides import DOCUMENTS, RUN_BY, Command, commands
from tests.unit.recorded import SETTINGS, record

TEXTS = {name: (ROOT / name).read_text() for name in DOCUMENTS}
VARIABLES = {"ARGS", "FILE", "KEY", "PYTHON", "STACK"}
PLACES = {"KEY"}
"""Placeholders for the key of any setting."""


def sentences() -> list[Command]:
    return [command for document in DOCUMENTS for command in guides.inline(document)]


def test_every_command_is_run_by_a_test_or_marked_as_not_tried() -> None:
    """Add a missing command to `RUN_BY` in tests/guides.py, or mark it with `# not tried`."""
    # A sentence may name any command of make: another test checks that its target exists.
    named = [one for one in sentences() if not one.text.startswith("make ")]
    assert [one for one in [*commands(), *named] if one.is_tried and not one.run_by] == []


def test_a_command_that_no_test_runs_is_noticed_and_a_mark_is_enough() -> None:
    assert Command("README.md", "curl example.com | sh").run_by == ""
    assert Command("README.md", "curl example.com | sh").is_tried
    assert not Command("README.md", "curl example.com | sh   # not tried").is_tried
    assert Command("README.md", "pulumi login   # not tried: to the cloud").run_by == ""


def test_a_command_has_as_many_lines_as_the_shell_needs() -> None:
    block = "$ make demo\nDeployed.\n$ a \\\n    b\n$ f() {\n  c <<X\n{\nX\n  }\n$ d # it's\nd\n"
    assert guides._commands(block) == [
        "make demo",
        "a \\\n    b",
        "f() {\n  c <<X\n{\nX\n  }",
        "d # it's",
    ]


def test_each_test_that_runs_commands_exists_and_has_one() -> None:
    shown = [*commands(), *sentences()]
    found = {one.run_by for one in shown} - {""}
    assert found == {test for _, test in RUN_BY}
    for test in found:
        file, _, name = test.partition("::")
        assert re.search(rf"\bdef {name}\b" if name else "", (ROOT / file).read_text()), test
    for pattern, _ in RUN_BY:
        assert any(re.match(pattern, one.text) for one in shown), pattern


def test_ci_runs_the_checks_and_so_the_judges() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert re.search(r"^make pulumi$", script, re.MULTILINE)
    assert re.search(r"^CI=true make check$", script, re.MULTILINE)
    check = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    assert "$(MAKE) --no-print-directory judges" in check


@pytest.mark.parametrize("document", DOCUMENTS)
def test_commands_stand_in_blocks_whose_commands_are_checked(document: str) -> None:
    """Only blocks of `console` and `sh` are checked, and there only lines after a dollar."""
    program = re.compile(r"^\s*(\$ |(pulumi|make|aws|gh|git|npm|pip3?|curl|python3?) [a-z-])")
    other = [
        text
        for kind, text in guides.BLOCK.findall(TEXTS[document])
        if kind not in {"console", "sh"}
    ]
    outside = guides.BLOCK.sub("", TEXTS[document])
    indented = re.findall(r"^ {4}.*", outside, re.MULTILINE)
    lines = [*"".join(other).splitlines(), *indented]
    assert [line for line in lines if program.match(line)] == []


def test_each_command_of_make_is_in_the_makefile() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document, command in [*commands(), *sentences()]:
        if command.startswith("make "):
            words = [word for word in shlex.split(command, comments=True)[1:] if word != "-s"]
            assigned = {word.partition("=")[0] for word in words if "=" in word}
            named = {word for word in words if "=" not in word}
            assert assigned <= VARIABLES, (document, command)
            assert named <= {*targets, "help"}, (document, command)


def test_each_setting_in_a_command_exists() -> None:
    for document, command in [*commands(), *sentences()]:
        if not re.match(r"pulumi config (set|rm) ", command):
            continue
        words = [word for word in shlex.split(command, comments=True)[3:] if word[:2] != "--"]
        if not words:
            continue
        route = re.fullmatch(r"routes\[[0-9]+\](\.(\w+))?", words[0])
        if route:
            assert route[2] is None or route[2] in field_kinds(KINDS), (document, command)
        else:
            assert words[0] in {*KINDS, *PLACES, "aws:region"}, (document, command)


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub gives a document's headings."""
    titles = re.findall(r"^#+ (.+)$", guides.BLOCK.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_each_link_within_the_project_leads_somewhere(document: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]*)(?:#([^)]+))?\)", TEXTS[document])
    for target, anchor in links:
        path = ((ROOT / document).parent / target).resolve() if target else ROOT / document
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path.read_text()), f"{target}#{anchor}"


def test_the_runbook_leads_from_each_alarm_to_its_section() -> None:
    text = TEXTS["docs/operations.md"]
    rows = re.findall(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \| \[.*\]\(#(.+)\) \|$", text, re.MULTILINE)
    listed = {name: section for names, section in rows for name in re.findall(r"[a-z-]+", names)}
    declared = alarms(
        stack="s3-logs/a", notify="", flush="", failed="", flush_minutes=5, max_segments_per_day=1
    )
    assert listed == {alarm.name: alarm.section for alarm in declared}


def test_the_guides_count_the_resources_of_the_program() -> None:
    made = record(SETTINGS).resources
    components = {one.parent for one in made}
    readme = TEXTS["README.md"]
    assert f"\nDeployed {len(made)} resources to an emulator of AWS in " in readme
    assert len(components) == 8
    assert (
        f"Besides the {len(made)} resources in AWS, Pulumi counts the stack and its eight "
        "components." in readme
    )
    assert f"\n    + {len(made) + len(components) + 1} created\n" in readme
    with_email = record({**SETTINGS, "alarmEmail": "on-call@example.com"}).resources
    assert f"`pulumi up` makes {len(with_email)} resources in AWS," in TEXTS["docs/deploy.md"]
