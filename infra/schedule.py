"""A Lambda function that runs every few minutes."""

from typing import Unpack

import pulumi
import pulumi_aws as aws

from infra import policy
from infra.function import FunctionOptions, Handler, PythonFunction

MAX_EVENT_AGE_SECONDS = 60
"""The seconds that a run may wait for AWS to start it: the fewest that Lambda and the scheduler
accept.

Otherwise throttled runs queue up for six hours, and then all run at once.
Source: https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html
"""


class Schedule(pulumi.ComponentResource):
    """A plain Python function, run by Lambda every few minutes.

    Attributes:
        function: The Lambda function.
        minutes: The minutes between two runs.
    """

    function: aws.lambda_.Function
    minutes: int

    def __init__(
        self,
        name: str,
        handler: Handler,
        *,
        minutes: int,
        opts: pulumi.ResourceOptions | None = None,
        **options: Unpack[FunctionOptions],
    ) -> None:
        """Declare the function and its schedule.

        Args:
            name: Its name; AWS's names begin with it.
            handler: The function to run; see `PythonFunction`.
            minutes: The minutes between two runs.
            opts: Pulumi's options.
            options: The function's other options.

        Raises:
            pulumi.RunError: Lambda could not run it; see `PythonFunction`.
        """
        super().__init__("s3logs:infra:Schedule", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        self.minutes = minutes
        options.setdefault("max_event_age_seconds", MAX_EVENT_AGE_SECONDS)
        self.function = PythonFunction(name, handler, opts=child, **options).function
        role = aws.iam.Role(
            f"{name}-schedule",
            assume_role_policy=policy.document(policy.assumed_by("scheduler.amazonaws.com")),
            opts=child,
        )
        permissions = aws.iam.RolePolicy(
            f"{name}-schedule",
            role=role.name,
            policy=policy.document(policy.may_invoke(self.function.arn)),
            opts=child,
        )
        aws.scheduler.Schedule(
            name,
            schedule_expression=f"rate({minutes} minute{'s' if minutes > 1 else ''})",
            flexible_time_window={"mode": "OFF"},
            target={
                "arn": self.function.arn,
                "role_arn": role.arn,
                # No retries: the next run does the work.
                "retry_policy": {
                    "maximum_event_age_in_seconds": MAX_EVENT_AGE_SECONDS,
                    "maximum_retry_attempts": 0,
                },
            },
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permissions]),
        )
        self.register_outputs({"function": self.function.name})
