"""The messages to an operator when AWS or Pulumi refuses, or when requirements are missing."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    BotoCoreError,
    EndpointConnectionError,
    NoCredentialsError,
    ProfileNotFound,
    ReadTimeoutError,
    SSOTokenLoadError,
    TokenRetrievalError,
    UnauthorizedSSOTokenError,
)

from ops.aws_errors import explain
from stack import ROOT
from stack import deployed as stacks
from stack.deployed import Stack, StackError
from tests.unit.operated import ACCOUNT, REGION, Operated, refusal

LOG_IN = "aws sso login"


@pytest.mark.parametrize(
    "error",
    [
        NoCredentialsError(),
        ProfileNotFound(profile="none"),
        SSOTokenLoadError(error_msg="Token for dev does not exist"),
        TokenRetrievalError(provider="sso", error_msg="Token has expired and refresh failed"),
        UnauthorizedSSOTokenError(),
    ],
)
def test_an_expired_session_is_reported_with_the_command_that_renews_it(
    error: BotoCoreError,
) -> None:
    message = explain(error, None)
    assert message.startswith("AWS does not accept your credentials (")
    assert LOG_IN in message


@pytest.mark.parametrize(
    ("code", "operation"),
    [
        ("ExpiredToken", "ListSubscriptionsByTopic"),
        ("ExpiredTokenException", "FilterLogEvents"),
        ("InvalidClientTokenId", "GetQueueAttributes"),
        ("UnrecognizedClientException", "FilterLogEvents"),
        ("InvalidAccessKeyId", "PutObject"),
        ("SignatureDoesNotMatch", "PutObject"),
        ("UnauthorizedException", "GetRoleCredentials"),
        ("ForbiddenException", "GetRoleCredentials"),
        ("InvalidGrantException", "CreateToken"),
    ],
)
def test_unknown_credentials_are_reported_with_the_remedy(code: str, operation: str) -> None:
    message = explain(refusal(code, operation), Operated().stack)
    assert message.startswith(f"AWS does not accept your credentials ({code}: ")
    assert LOG_IN in message


@pytest.mark.parametrize(
    "code", ["AccessDenied", "AccessDeniedException", "ResourceNotFoundException", "NotFound"]
)
def test_credentials_of_another_account_are_named(code: str) -> None:
    operated = Operated()
    operated.sts.account = "999999999999"
    message = explain(refusal(code, "FilterLogEvents"), operated.stack)
    assert f"Stack prod is in account {ACCOUNT}, region {REGION}" in message
    assert "your credentials are for account 999999999999" in message
    assert "AWS_PROFILE" in message


def test_a_refusal_in_the_right_account_names_the_account_and_the_region() -> None:
    stack = Operated().stack
    denied = explain(refusal("AccessDenied", "PutObject"), stack)
    assert f"account {ACCOUNT}, region {REGION}" in denied
    assert "permission" in denied
    gone = explain(refusal("ResourceNotFoundException", "FilterLogEvents"), stack)
    assert f"account {ACCOUNT}, region {REGION}" in gone
    assert gone.endswith("pulumi preview --refresh --stack prod")


def test_a_refusal_is_reported_even_if_the_account_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    operated = Operated()

    def refuse() -> Any:
        raise refusal("AccessDenied", "GetCallerIdentity")

    monkeypatch.setattr(operated.sts, "get_caller_identity", refuse)
    assert explain(refusal("ThrottlingException", "FilterLogEvents"), operated.stack) == (
        "AWS refuses FilterLogEvents: ThrottlingException: said AWS"
    )
    assert "give your credentials that permission" in explain(
        refusal("AccessDenied", "X"), operated.stack
    )


def test_a_wrong_clock_is_named() -> None:
    for error in (
        refusal("RequestTimeTooSkewed", "PutObject"),
        refusal("InvalidSignatureException", "FilterLogEvents", "Signature expired: 2026 is now"),
    ):
        assert "clock of this machine is wrong" in explain(error, Operated().stack)


def test_a_timeout_of_aws_is_reported_with_its_region() -> None:
    silent = ReadTimeoutError(endpoint_url="https://logs")
    assert explain(silent, Operated().stack).startswith(f"AWS does not answer in {REGION}: ")


def test_an_ended_demo_is_reported_with_the_command_that_starts_one() -> None:
    gone = EndpointConnectionError(endpoint_url="http://127.0.0.1:1")
    assert explain(gone, Operated("demo").stack).endswith("make demo")


# Pulumi's CLI


@pytest.mark.parametrize(
    ("printed", "expected"),
    [
        (
            "error: PULUMI_ACCESS_TOKEN must be set for login during non-interactive CLI sessions",
            "Pulumi is not logged in",
        ),
        (
            "error: no stack named 'nonsense' found",
            "The backend that Pulumi is logged in to has no stack nonsense",
        ),
        ("error: could not decrypt", "Pulumi cannot show the outputs of stack nonsense: could not"),
    ],
)
def test_a_stack_that_pulumi_does_not_find_is_reported_with_the_remedy(
    printed: str, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = tmp_path / "pulumi"
    command.write_text(f'#!/bin/sh\necho "{printed}" >&2\nexit 3\n')
    command.chmod(0o755)
    monkeypatch.setattr(stacks, "find_cli", lambda: command)
    with pytest.raises(StackError, match=expected) as caught:
        Stack.open("nonsense")
    error = str(caught.value)
    assert "PULUMI_ACCESS_TOKEN" not in error
    assert "\n" not in error
    if "decrypt" not in printed:
        assert "pulumi stack ls" in error
    if "TOKEN" in printed:
        assert "pulumi login" in error


# Requirements


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["ops", "--stack", "prod", "flush"], "make flush STACK=prod"),
        (["ops"], "make status STACK=dev"),
        (["ops", "--help"], "make status STACK=dev"),
        (["local"], "make demo"),
        (["bench"], "make bench"),
    ],
)
def test_a_missing_requirement_is_one_line_with_the_command_to_run(
    arguments: list[str], command: str
) -> None:
    done = subprocess.run(
        # -S hides the installed packages.
        [sys.executable, "-S", "-m", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert f"Run {command}: " in done.stderr
    assert f"-r {arguments[0]}/requirements.txt" in done.stderr
