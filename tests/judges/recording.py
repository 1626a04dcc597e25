"""A pytest plugin that records the handler's calls of AWS in other tests, with the answers.

The environment variable `RECORD` names the file. It gets one line of JSON per call.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from handler.aws import Aws, AwsError

Call = Callable[[Any, str, str, Mapping[str, Any]], dict[str, Any]]


def pytest_configure() -> None:
    """Record the calls of `Aws`, and of `World`, which replaces it in the unit tests."""
    from simulation.world import World  # noqa: PLC0415  # pytest rewrites its asserts first

    listening = Path(os.environ["RECORD"]).open("a", buffering=1)  # noqa: SIM115  # open until the end
    kind: Any
    for kind in (Aws, World):
        kind.call = _heard(kind.call, listening.write)


def _heard(call: Call, write: Callable[[str], object]) -> Any:
    def hearing(
        aws: Any, service: str, operation: str, payload: Mapping[str, Any]
    ) -> dict[str, Any]:
        heard = {"service": service, "operation": operation, "request": json.dumps(payload)}
        # A test's own calls may be wrong on purpose.
        wanted = sys._getframe(1).f_globals["__name__"].startswith("handler.")
        try:
            answer = call(aws, service, operation, payload)
        except AwsError as error:
            if wanted:
                write(json.dumps({**heard, "code": error.code, "answer": error.details}) + "\n")
            raise
        if wanted:
            write(json.dumps({**heard, "code": None, "answer": answer}) + "\n")
        return answer

    return hearing
