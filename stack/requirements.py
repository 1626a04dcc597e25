"""The message where a command's requirements are not installed. It needs none of them."""

import sys

from stack import ROOT


def missing_requirement(error: ModuleNotFoundError, package: str, command: str) -> str:
    """Return one line: which requirement is missing, and what to run.

    Args:
        error: The error of the import.
        package: The package that `python -m` runs.
        command: The command that installs the requirements and runs it.

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
