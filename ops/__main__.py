"""The commands of `ops.commands`, or one line on how to install what they need."""

import argparse
import sys

from local.installed import lacking


def _command() -> str:
    """Return the command of make that does what was asked for."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--stack", default="dev")
    parser.add_argument("command", nargs="?", default="status")
    options, _ = parser.parse_known_args()
    return f"make {options.command} STACK={options.stack}"


try:
    from ops.commands import main
except ModuleNotFoundError as error:
    sys.exit(lacking(error, "ops", _command()))
except KeyboardInterrupt:  # most of the first second is this import
    sys.exit(130)

if __name__ == "__main__":
    main()
