"""Finding Pulumi's CLI: the one on PATH, or the one that `make pulumi` builds."""

import re
import shutil
import subprocess
from pathlib import Path

from stack import ROOT

BUILT = ROOT / ".bin"


class CliError(Exception):
    """There is no CLI. The message says how to get one."""


def find_cli() -> Path:
    """Return the path of Pulumi's CLI.

    Raises:
        CliError: No CLI of version 3 is installed.
    """
    for folder in (None, str(BUILT)):
        found = shutil.which("pulumi", path=folder)
        if found and re.match(r"v3\.", _version(found)):
            return Path(found)
    raise CliError(
        "Pulumi's CLI, version 3, is not installed. Install it: "
        "https://www.pulumi.com/docs/install/. Without it, make pulumi builds one from source, "
        "which cannot deploy."
    )


def _version(command: str) -> str:
    return subprocess.run(
        [command, "version"], capture_output=True, text=True, check=False
    ).stdout.strip()
