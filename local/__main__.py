"""The entry of `python -m local`: `make demo`, `make upload`, `make emulator`, `make storm`."""

import sys

from local import STOPPED
from stack.requirements import missing_requirement

if __name__ == "__main__":
    try:
        # This import takes most of the first second: Ctrl-C must end it as quietly as the rest.
        try:
            from local.demo import main
        except ModuleNotFoundError as error:
            sys.exit(missing_requirement(error, "local", "make demo"))
        main()
    except KeyboardInterrupt:
        sys.stdout.write(STOPPED)
