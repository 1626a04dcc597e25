"""The linter parliament, which knows every action and resource of AWS's policies."""

import subprocess
import sys

_LINT = """
import sys
from parliament import analyze_policy_string
for finding in analyze_policy_string(sys.stdin.read()).findings:
    print(finding)
"""


def findings(policy: str) -> str:
    """Return parliament's findings. It runs in its own process, as its code causes warnings."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _LINT],
        input=policy,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
