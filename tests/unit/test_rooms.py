"""Imports between rooms go in one direction, so that each room can be changed by itself."""

import ast
import graphlib
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
    """Yield the full names of all imports in a source, also of those in functions."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=str(module), names=names, level=0):
                yield from (f"{module}.{alias.name}" for alias in names)


def rooms_imported(source: str) -> set[str]:
    """Return the rooms that a source imports from."""
    return {name.partition(".")[0] for name in imported(source)} & MAY_IMPORT.keys()


def offences(root: Path) -> list[str]:
    """Return the imports in a wrong direction."""
    return [
        f"{path.relative_to(root)} imports {name}"
        for room, allowed in MAY_IMPORT.items()
        for path in sorted((root / room).rglob("*.py"))
        for name in sorted(rooms_imported(path.read_text()))
        if name not in allowed | {room}
    ]


def test_every_room_imports_only_rooms_below_it() -> None:
    assert offences(ROOT) == []


def circle(root: Path) -> list[str]:
    """Return modules that import one another in a circle, or an empty list."""
    sources = {
        ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__"): path
        for room in MAY_IMPORT
        for path in (root / room).rglob("*.py")
    }

    def module(name: str) -> str:
        return name if name in sources else name.rpartition(".")[0]

    graph = {
        one: set(map(module, imported(path.read_text()))) & sources.keys() - {one}
        for one, path in sources.items()
    }
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def test_no_modules_import_one_another_in_a_circle() -> None:
    assert circle(ROOT) == []


def test_a_circle_is_found_though_types_alone_tie_it(tmp_path: Path) -> None:
    (tmp_path / "stack").mkdir()
    (tmp_path / "stack" / "one.py").write_text("def later():\n    from stack import two\n")
    (tmp_path / "stack" / "two.py").write_text("if TYPE_CHECKING:\n    from stack.one import One\n")
    assert set(circle(tmp_path)) == {"stack.one", "stack.two"}


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
