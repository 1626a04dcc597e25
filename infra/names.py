"""The names of a stack's parts in AWS, and the address of its dashboard."""

import hashlib
import re

# Source: the console's addresses in AWS's documentation of each partition. Those of the isolated
# ones (aws-iso, aws-iso-b, …) are not public.
_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-cn": "console.amazonaws.cn",
    "aws-eusc": "console.amazonaws-eusc.eu",
    "aws-us-gov": "console.amazonaws-us-gov.com",
}


def of_stack(stack: str) -> str:
    """Return the name that the topic, the alarms and the dashboard of a stack begin with.

    SNS and CloudWatch take letters, digits, hyphens and underscores only, but Pulumi takes periods
    as well. A hash keeps `my.app` and `my-app` apart.

    Args:
        stack: The project and the stack, such as `s3-logs/dev`.

    Source: https://docs.aws.amazon.com/sns/latest/api/API_CreateTopic.html and
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutDashboard.html
    """
    name = stack.replace("/", "-")
    allowed = re.sub(r"[^A-Za-z0-9_-]", "-", name)
    if allowed == name:
        return name
    return f"{allowed}-{hashlib.sha256(stack.encode()).hexdigest()[:7]}"


def of_dashboard(stack: str, arn: str) -> str:
    """Return the name of a stack's dashboard: an account has one list of them for all regions.

    Args:
        stack: The project and the stack.
        arn: The ARN of something in the stack's region.
    """
    return f"{of_stack(stack)}-{region(arn)}"


def address_of_dashboard(name: str, arn: str) -> str:
    """Return the address of a dashboard, or how to find it if the console has no known address.

    Args:
        name: The dashboard's name.
        arn: The ARN of something in the stack's region. It names the partition too.
    """
    console = _CONSOLES.get(arn.split(":")[1])
    if not console:
        return f"{name}, in CloudWatch under Dashboards"
    return f"https://{region(arn)}.{console}/cloudwatch/home#dashboards/dashboard/{name}"


def region(arn: str) -> str:
    """Return the region in an ARN."""
    return arn.split(":")[3]
