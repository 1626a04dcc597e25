"""The message of a command whose requirements are not installed. This module needs none."""

import sys

from stack import ROOT


def missing_requirement(error: ModuleNotFoundError, package: str, command: str) -> str:
    """Return one line: the requirement that is missing, and the command that installs it.

    Args:
        error: The error of the import.
        package: The package that `python -m` runs.
        command: The make command that installs the requirements and runs the package.

    Raises:
        ModuleNotFoundError: The module is one of this project's own.
    """
    name = (error.name or "").partition(".")[0]
    if not name or (ROOT / name).is_dir():
        raise error
    return (
        f"python -m {package} needs {name}, which {sys.executable} does not have. Run {command}: "
        f"it installs what is needed into .venv. "
        f"Or: {sys.executable} -m pip install -r {package}/requirements.txt"
    )
