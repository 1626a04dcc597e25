"""A Lambda function made of a plain Python function."""

import importlib
import inspect
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict, Unpack

import pulumi
import pulumi_aws as aws

from infra import policy
from infra.policy import Statement
from infra.runtime import ARCHITECTURE, MEMORY_MB, Runtime

Handler = Callable[[Any, Any], Any]
"""A function that Lambda may call: `handle(event, context)`."""

TIMEOUT_SECONDS = 60
LOG_RETENTION_DAYS = 30

MAX_EVENT_AGE_SECONDS = 6 * 60 * 60
"""The longest time that Lambda keeps an event before it runs the function.

Source: https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html
"""


class FunctionOptions(TypedDict):
    """The options of a `PythonFunction`."""

    runtime: Runtime
    """The environment, key, package and memory that it shares with the other functions."""

    failed: NotRequired[aws.sqs.Queue]
    """The queue for events that failed three times. Without it Lambda retries none."""

    timeout_seconds: NotRequired[int]
    """How long one event may take; a minute by default."""

    max_event_age_seconds: NotRequired[int]
    """How long an event may wait while AWS throttles the function; six hours by default."""

    allow: NotRequired[Sequence[Statement]]
    """Its permissions besides logging, reading its environment and sending to `failed`."""


class PythonFunction(pulumi.ComponentResource):
    """A Lambda function that runs a plain Python function of an importable package.

    Attributes:
        function: The Lambda function.
    """

    function: aws.lambda_.Function

    def __init__(
        self,
        name: str,
        handler: Handler,
        *,
        opts: pulumi.ResourceOptions | None = None,
        **options: Unpack[FunctionOptions],
    ) -> None:
        """Declare the function.

        Args:
            name: Its name; AWS's names begin with it.
            handler: A function at the top level of a module in a package. The package becomes the
                code, with its own requirements.txt.
            opts: Pulumi's options.
            options: Its other options.

        Raises:
            pulumi.RunError: Lambda could not import the handler, or has no runtime for this Python.
        """
        super().__init__("s3logs:infra:PythonFunction", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        runtime, failed = options["runtime"], options.get("failed")

        # A log group that Lambda makes itself never deletes its logs.
        log_group = aws.cloudwatch.LogGroup(
            f"/aws/lambda/{name}", retention_in_days=LOG_RETENTION_DAYS, opts=child
        )
        role = aws.iam.Role(
            name,
            assume_role_policy=policy.document(policy.assumed_by("lambda.amazonaws.com")),
            opts=child,
        )
        permissions = aws.iam.RolePolicy(
            name,
            role=role.name,
            policy=policy.document(
                policy.may_log(log_group.arn),
                policy.may_decrypt(runtime.key.arn),
                *([policy.may_send(failed.arn)] if failed else []),
                *options.get("allow", ()),
            ),
            opts=child,
        )
        self.function = aws.lambda_.Function(
            name,
            handler=handler_setting(handler),
            code=runtime.code(_folder(handler)),
            runtime=runtime.python,
            architectures=[ARCHITECTURE],
            memory_size=MEMORY_MB,
            timeout=options.get("timeout_seconds", TIMEOUT_SECONDS),
            role=role.arn,
            environment={"variables": runtime.environment},
            kms_key_arn=runtime.key.arn,
            logging_config={"log_format": "JSON", "log_group": log_group.name},
            # It must be able to log and to decrypt before its first call.
            opts=pulumi.ResourceOptions(parent=self, depends_on=[permissions]),
        )
        aws.lambda_.FunctionEventInvokeConfig(
            name,
            function_name=self.function.name,
            maximum_event_age_in_seconds=options.get(
                "max_event_age_seconds", MAX_EVENT_AGE_SECONDS
            ),
            maximum_retry_attempts=2 if failed else 0,
            destination_config={"on_failure": {"destination": failed.arn}} if failed else None,
            opts=child,
        )
        self.register_outputs({"function": self.function.name})


def handler_setting(handler: Handler) -> str:
    """Return Lambda's `handler` setting of a function: its module and its name.

    Raises:
        pulumi.RunError: Lambda could not import it.
    """
    name = getattr(handler, "__qualname__", type(handler).__qualname__)
    problem = None
    if not inspect.isfunction(handler):
        problem = "is not a function"
    elif handler.__name__ == "<lambda>":
        problem = "is a lambda expression, which has no name"
    elif "<locals>" in name:
        problem = "is defined inside another function"
    elif "." in name:
        problem = "is defined inside a class"
    elif handler.__module__ == "__main__":
        problem = "is defined in the program itself, which does not go to Lambda"
    elif getattr(sys.modules[handler.__module__], name, None) is not handler:
        problem = f"has a name that stands for another object, {handler.__module__}.{name}"
    elif not hasattr(sys.modules[handler.__module__.partition(".")[0]], "__path__"):
        problem = "is not in a package (a folder with __init__.py and requirements.txt)"
    if problem:
        raise pulumi.RunError(
            f"Lambda cannot import the handler {name}: it {problem}.\n"
            "  Define it at the top level of a module in a package, such as handler/__init__.py."
        )
    return f"{handler.__module__}.{name}"


def _folder(handler: Handler) -> Path:
    top = importlib.import_module(handler.__module__.partition(".")[0])
    return Path(top.__path__[0])
