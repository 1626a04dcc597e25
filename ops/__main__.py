"""The entry of `python -m ops`. Without its requirements it says how to install them."""

import argparse
import sys

from stack.requirements import missing_requirement


def _command() -> str:
    """Return the command of make that installs the requirements and runs the same command."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--stack", default="dev")
    parser.add_argument("command", nargs="?", default="status")
    options, _ = parser.parse_known_args()
    return f"make {options.command} STACK={options.stack}"


try:
    from ops.commands import main
except ModuleNotFoundError as error:
    sys.exit(missing_requirement(error, "ops", _command()))
except KeyboardInterrupt:  # most of the first second is this import
    sys.exit(130)

if __name__ == "__main__":
    main()
