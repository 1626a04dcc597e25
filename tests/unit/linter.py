"""parliament, which knows every action and resource of AWS's policies."""

import subprocess
import sys

_LINT = """
import sys
from parliament import analyze_policy_string
for finding in analyze_policy_string(sys.stdin.read()).findings:
    print(finding)
"""


def findings(policy: str) -> str:
    """Give what parliament says of a policy; in a process of its own, since it warns of itself."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _LINT],
        input=policy,
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout
