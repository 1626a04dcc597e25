"""The names in AWS are valid and distinct, in every partition and region."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra import names
from stack import ROOT
from tests.unit.recorded import SETTINGS, Recorded, record

LONGEST = 100
"""The most characters of a stack's name, and of a project's.

Source: https://www.pulumi.com/docs/iac/concepts/stacks/
"""

STACKS = st.text(alphabet=string.ascii_letters + string.digits + "._-", min_size=1, max_size=20)

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:notify"


def named_after_the_stack(program: Recorded) -> list[str]:
    """Return the names in AWS. Pulumi adds eight characters to those of topics and alarms."""
    return [
        program.the("Dashboard").inputs["dashboardName"],
        *(f"{one.name}-1a2b3c4" for one in program.of_type("Topic")),
        *(f"{one.name}-1a2b3c4" for one in program.of_type("MetricAlarm")),
    ]


@pytest.mark.parametrize("stack", ["my.app", "v1.2_x", "." * LONGEST, "a" * LONGEST])
def test_sns_and_cloudwatch_accept_the_name_of_every_stack(stack: str) -> None:
    found = named_after_the_stack(record(stack_name=stack))
    assert len(found) > 10
    for name in found:
        assert re.fullmatch(r"[A-Za-z0-9_-]+", name)


def test_the_longest_names_are_not_too_long_for_cloudwatch() -> None:
    project_and_stack = f"{'.' * LONGEST}/{'.' * LONGEST}"
    # The longest alarm's name with Pulumi's ending, and the longest region.
    longest = max((one.name for one in record().of_type("MetricAlarm")), key=len)
    ending = longest.removeprefix("s3-logs-test") + "-1a2b3c4"
    assert len(names.of_stack(project_and_stack) + ending) <= 255
    dashboard = names.of_dashboard(project_and_stack, "arn:aws:lambda:ap-southeast-1:1:f")
    assert len(dashboard) <= 255


@given(one=STACKS, other=STACKS)
def test_two_stacks_share_no_name(one: str, other: str) -> None:
    same = names.of_stack(f"s3-logs/{one}") == names.of_stack(f"s3-logs/{other}")
    assert same == (one == other)


@pytest.mark.parametrize("other", ["my-app.x", "my-app-x", "my.app.x"])
def test_a_period_and_a_hyphen_are_not_the_same(other: str) -> None:
    assert names.of_stack("s3-logs/my.app-x") != names.of_stack(f"s3-logs/{other}")


@pytest.mark.parametrize("stack", ["dev", "prod", "my-app", "my_app2"])
def test_a_usual_name_stays_as_it_is(stack: str) -> None:
    assert names.of_stack(f"s3-logs/{stack}") == f"s3-logs-{stack}"


def test_a_stack_has_a_dashboard_in_each_region() -> None:
    dashboards = {
        record(region=region).the("Dashboard").inputs["dashboardName"]
        for region in ("eu-central-1", "us-east-1")
    }
    assert dashboards == {"s3-logs-test-eu-central-1", "s3-logs-test-us-east-1"}


@pytest.mark.parametrize(
    ("partition", "region", "address"),
    [
        ("aws", "eu-west-1", "https://eu-west-1.console.aws.amazon.com/"),
        ("aws-cn", "cn-north-1", "https://cn-north-1.console.amazonaws.cn/"),
        ("aws-eusc", "eusc-de-east-1", "https://eusc-de-east-1.console.amazonaws-eusc.eu/"),
        ("aws-us-gov", "us-gov-west-1", "https://us-gov-west-1.console.amazonaws-us-gov.com/"),
    ],
)
def test_each_partition_has_its_own_console(partition: str, region: str, address: str) -> None:
    program = record(partition=partition, region=region)
    assert program.outputs["dashboard"] == (
        f"{address}cloudwatch/home#dashboards/dashboard/s3-logs-test-{region}"
    )


@pytest.mark.parametrize("partition", ["aws-iso", "aws-iso-b", "aws-new"])
def test_a_console_that_is_not_known_gets_no_address(partition: str) -> None:
    program = record(partition=partition, region="us-iso-east-1")
    assert program.outputs["dashboard"] == (
        "s3-logs-test-us-iso-east-1, in CloudWatch under Dashboards"
    )


def test_no_resource_in_another_partition_has_an_arn_of_aws() -> None:
    for asked in (SETTINGS, {**SETTINGS, "existingBucket": "their-logs"}):
        program = record(asked, partition="aws-cn", region="cn-north-1")
        for resource in program.resources:
            assert "arn:aws:" not in str(resource.inputs), resource.name
        assert "arn:aws:" not in str(program.outputs)


def test_no_code_contains_a_literal_partition() -> None:
    paths = [ROOT / "__main__.py"]
    for folder in ("handler", "infra", "local", "ops", "stack"):
        paths += (ROOT / folder).glob("**/*.py")
    assert len(paths) > 30
    for path in paths:
        assert not re.search(r"arn:aws[a-z-]*:", path.read_text()), path
