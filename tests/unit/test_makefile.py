"""The commands of make: their output and order, and the tests that the Makefile names."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from stack import ROOT, deployed

# A stand-in for Python that prints the arguments of each call.
PYTHON = """#!/bin/sh
case "$*" in
*"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python && touch .venv/pyvenv.cfg ;;
esac
echo "python $*" | cut -c 1-24
"""


def checkout(folder: Path) -> Path:
    """Make a checkout in which nothing is installed."""
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("local", "tools/pulumi", ".bin"):
        (folder / name).mkdir(parents=True)
    (folder / "local/requirements.txt").touch()
    shutil.copy(ROOT / "tools/pulumi/go.mod", folder / "tools/pulumi")
    executable(folder / "python", PYTHON)
    return folder


def executable(file: Path, content: str) -> None:
    file.write_text(content)
    file.chmod(0o755)


def make(folder: Path, *arguments: str) -> list[str]:
    """Run make, and return the lines of its output."""
    # The new environment lacks ARGS and MAKEFLAGS of the make that runs the tests.
    done = subprocess.run(
        ["make", *arguments, f"PYTHON={folder}/python"],
        cwd=folder,
        env={"PATH": f"{folder}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


def test_a_slow_step_is_announced_before_it_begins(tmp_path: Path) -> None:
    output = [line for line in make(checkout(tmp_path), "demo") if "-c import sys" not in line]
    assert output == [
        "Making a virtual environment in .venv (once, some seconds) ...",
        "python -m venv .venv",
        "Installing local/requirements.txt into .venv (once, up to a minute) ...",
        "python -m pip install --",
        "python -m local",
    ]
    assert make(tmp_path, "demo") == ["python -m local"]


def test_make_emulator_runs_the_emulator_of_this_project(tmp_path: Path) -> None:
    assert make(checkout(tmp_path), "emulator")[-1] == "python -m local emulator"
    readme = (ROOT / "README.md").read_text()
    assert "$ make emulator" in readme
    assert "-m ministack" not in readme


def test_each_command_that_is_printed_names_its_stack() -> None:
    """Without a stack a command acts on `dev`, so `stack.deployed.make` writes them."""
    assert deployed.make("status", "demo") == "make status STACK=demo"
    unnamed = [
        f"{file.relative_to(ROOT)}: {line}"
        for room in ("local", "ops", "stack")
        for file in (ROOT / room).rglob("*.[pj][ys]")
        for line in file.read_text().splitlines()
        if re.search(r"""(?<!b)["' ]make (status|smoke|redrive|flush|tail)\b(?! STACK=)""", line)
    ]
    assert unnamed == []


def test_every_test_that_the_makefile_and_the_guides_name_exists() -> None:
    guides = (ROOT / name for name in ("Makefile", "README.md", "CONTRIBUTING.md", "SECURITY.md"))
    modules = list((ROOT / "tests").rglob("test_*.py"))
    functions = re.findall(r"def (test_\w+)", "".join(file.read_text() for file in modules))
    tests = {*functions, *(file.stem for file in modules)}
    missing = [
        f"{file.relative_to(ROOT)}: {name}"
        for file in (*guides, *(ROOT / "docs").rglob("*.md"))
        for name in re.findall(r"\btests/[\w./-]*\w|(?<![\w/.])test_\w+", file.read_text())
        if not (name in tests or (name.startswith("tests/") and (ROOT / name).exists()))
    ]
    assert missing == []


def test_make_pulumi_says_that_the_cli_built_from_source_cannot_deploy(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    executable(folder / "pulumi", "#!/bin/sh\nexit 1\n")
    executable(folder / ".bin/pulumi", "#!/bin/sh\necho v3.0.0\n")
    (output,) = make(folder, "pulumi")
    assert "cannot deploy" in output
    assert "https://www.pulumi.com/docs/install/" in output
    (help_,) = (line for line in make(folder, "help") if line.startswith("  make pulumi "))
    assert "cannot deploy" in help_
    executable(folder / "pulumi", "#!/bin/sh\necho v3.0.0\n")
    assert make(folder, "pulumi") == ["Pulumi's CLI is installed."]


def test_help_names_seven_commands_of_a_user_before_those_of_a_developer(tmp_path: Path) -> None:
    shown = make(checkout(tmp_path), "help")
    groups = "\n".join(shown).split("\n\n")
    commands = [re.findall(r"^  make ([a-z-]+) +\S", group, re.MULTILINE) for group in groups]
    first, *others = commands
    assert first == ["demo", "upload", "status", "explain", "smoke", "flush", "redrive"]
    assert "test" in others[-1]
    assert "demo" not in others[-1]
    listed = [one for group in commands for one in group]
    documented = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert sorted(listed) == sorted(documented)
    assert [line for line in shown if len(line) > 80] == []


def test_make_passes_a_key_on_as_it_is(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    (folder / "ops").mkdir()
    (folder / "ops/requirements.txt").touch()
    (folder / "requirements.txt").touch()
    executable(folder / "python", PYTHON.replace("cut -c 1-24", "cat"))
    key = "app/my file $(x) it's *.log"
    asked = make(folder, "upload", "FILE=a b.log", f"KEY={key.replace('$', '$$')}")[-1]
    assert asked == f"python -m local upload a b.log --key={key}"
    assert make(folder, "upload", "FILE=a b.log")[-1] == "python -m local upload a b.log"
    asked = make(folder, "explain", f"KEY={key.replace('$', '$$')}", "STACK=prod")[-1]
    assert asked == f"python -m ops --stack prod explain --key={key}"
