"""The workflows deploy with the same versions that the checks use."""

import re
from typing import Any

import pytest
import yaml

from infra.package import LAMBDA_PYTHONS
from stack import ROOT

WORKFLOWS = ROOT / ".github/workflows"
DEPLOYING = ("deploy-stack.yml", "preview.yml")


def steps(name: str) -> list[dict[str, Any]]:
    """Return the steps of a workflow's jobs."""
    jobs = yaml.safe_load((WORKFLOWS / name).read_text())["jobs"].values()
    return [step for job in jobs for step in job["steps"]]


def given(name: str, action: str) -> dict[str, Any]:
    """Return the inputs of a workflow's only step with this action."""
    (step,) = [step for step in steps(name) if step.get("uses", "").startswith(f"{action}@")]
    handed: dict[str, Any] = step["with"]
    return handed


@pytest.mark.parametrize("name", DEPLOYING)
def test_pulumis_cli_is_the_one_that_the_engines_tests_run(name: str) -> None:
    """A new version in tools/pulumi/go.mod must be written into both workflows as well."""
    modules = (ROOT / "tools/pulumi/go.mod").read_text()
    pinned = re.findall(r"^\tgithub\.com/pulumi/pulumi/pkg/v3 v(\S+)", modules, re.MULTILINE)
    assert [given(name, "pulumi/actions")["pulumi-version"]] == pinned


@pytest.mark.parametrize("name", DEPLOYING)
def test_python_is_one_that_is_checked_and_that_lambda_runs(name: str) -> None:
    """The functions run in the Python that deploys them. A preview must use the same one."""
    version = given(name, "actions/setup-python")["python-version"]
    assert version == given(DEPLOYING[0], "actions/setup-python")["python-version"]
    checked = yaml.safe_load((WORKFLOWS / "ci.yml").read_text())["jobs"]["check"]
    assert version in checked["strategy"]["matrix"]["python"]
    assert tuple(map(int, version.split("."))) in LAMBDA_PYTHONS
