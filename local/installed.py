"""What to run when a command's requirements are not installed. Imports nothing but Python's own."""

import sys

from local import ROOT


def lacking(error: ModuleNotFoundError, package: str, command: str) -> str:
    """Say in one line what to run, where a package's requirement is not installed.

    Args:
        error: What was raised on import.
        package: The package that `python -m` was to run.
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
