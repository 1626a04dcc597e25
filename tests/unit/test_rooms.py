"""Which room imports which: one direction, so that each can be read and changed by itself."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from stack import ROOT

MAY_IMPORT = {
    "handler": set[str](),
    "infra": {"handler"},
    "stack": {"handler"},
    "ops": {"stack", "handler"},
    "local": {"stack", "infra", "handler"},
    "simulation": {"handler"},
    "bench": {"simulation", "local", "ops", "stack", "infra", "handler"},
    "tests": {"simulation", "local", "ops", "stack", "infra", "handler"},
}
"""Each room and the other rooms that it may import."""


def imported(source: str) -> Iterator[str]:
    """Give the first part of the name of every module that a source imports, at any place in it."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name.partition(".")[0] for alias in names)
            case ast.ImportFrom(module=str(module), level=0):
                yield module.partition(".")[0]


def offences(root: Path) -> list[str]:
    """Find the imports that lead in a wrong direction."""
    return [
        f"{path.relative_to(root)} imports {name}"
        for room, allowed in MAY_IMPORT.items()
        for path in sorted((root / room).rglob("*.py"))
        for name in sorted(set(imported(path.read_text())) & MAY_IMPORT.keys())
        if name not in allowed | {room}
    ]


def test_every_room_imports_only_rooms_below_it() -> None:
    assert offences(ROOT) == []


def test_every_folder_with_code_is_a_room() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages == MAY_IMPORT.keys()


def test_no_room_imports_one_that_imports_it() -> None:
    both = [(one, two) for one in MAY_IMPORT for two in MAY_IMPORT[one] if one in MAY_IMPORT[two]]
    assert both == []


@pytest.mark.parametrize(
    ("room", "source", "offence"),
    [
        ("bench", "from tests.unit import recorded", "tests"),
        ("tests", "import bench.cold", "bench"),
        ("ops", "def show():\n    from local import twilio", "local"),
        ("handler", "from infra import queues as _", "infra"),
        ("simulation", "if True:\n    import infra", "infra"),
    ],
)
def test_a_wrong_import_is_found(tmp_path: Path, room: str, source: str, offence: str) -> None:
    (tmp_path / room).mkdir()
    (tmp_path / room / "module.py").write_text(f"import handler\n{source}\n")
    assert offences(tmp_path) == [f"{room}/module.py imports {offence}"]
