"""The errors of AWS, explained to an operator."""

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    LoginError,
    NoAuthTokenError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)

from stack.deployed import Stack

_NO_CREDENTIALS = (
    CredentialRetrievalError,
    LoginError,
    NoAuthTokenError,
    NoCredentialsError,
    NoRegionError,
    PartialCredentialsError,
    ProfileNotFound,
    SSOError,
    TokenRetrievalError,
)
"""Errors before any request: the credentials are missing, or cannot be renewed."""

# Each service has its own code for credentials that it does not accept.
_BAD_CREDENTIALS = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
    }
)

_OF_SSO = frozenset({"CreateToken", "GetRoleCredentials"})
"""The operations that fetch credentials by SSO."""

_CLOCK_CODES = frozenset({"RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"})
_CLOCK_WORDS = ("Signature expired", "Signature not yet current")

_DENIED = ("AccessDenied", "AuthorizationError", "Unauthorized", "Forbidden")
_NOT_FOUND_CODES = ("NotFound", "NonExistent", "DoesNotExist", "NoSuch")


def explain(error: BotoCoreError | ClientError, stack: Stack | None) -> str:
    """Return one line: the meaning of an AWS error, and the next step.

    Args:
        error: The error.
        stack: The stack, if it could be opened. If AWS refuses a request to it, this asks AWS
            which account the credentials belong to.
    """
    if isinstance(error, _NO_CREDENTIALS):
        return _unknown_credentials(str(error))
    if isinstance(error, EndpointConnectionError) and stack and stack.is_demo:
        return "The demo does not answer: it has ended. Start one in another terminal: make demo"
    if not isinstance(error, ClientError):
        return f"AWS does not answer{_in_region(stack)}: {error}"
    code, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    refusal = f"{code}: {message}"
    if code in _CLOCK_CODES or any(words in message for words in _CLOCK_WORDS):
        return (
            f"The clock of this machine is wrong, so AWS refuses every request ({refusal}). "
            "Set the clock, then run the command again"
        )
    if code in _BAD_CREDENTIALS or error.operation_name in _OF_SSO:
        return _unknown_credentials(refusal)
    return f"AWS refuses {error.operation_name}: {refusal}{_where(stack, code)}"


def _unknown_credentials(why: str) -> str:
    return (
        f"AWS does not accept your credentials ({why.rstrip('.')}). With SSO, set AWS_PROFILE to "
        "your profile and run aws sso login. With access keys: aws configure"
    )


def _in_region(stack: Stack | None) -> str:
    return f" in {stack.region}" if stack else ""


def _where(stack: Stack | None, code: str) -> str:
    """Return the account and region of the stack, and a likely reason for the error."""
    if not stack or stack.is_demo:
        return ""
    there = f". Stack {stack.name} is in account {stack.account}, region {stack.region}"
    try:
        account = stack.aws["sts"].get_caller_identity()["Account"]
    except (BotoCoreError, ClientError):
        account = stack.account
    if account != stack.account:
        return (
            f"{there}, and your credentials are for account {account}: set AWS_PROFILE to a "
            "profile of the stack's account"
        )
    if any(word in code for word in _DENIED):
        return f"{there}: give your credentials that permission there"
    if any(word in code for word in _NOT_FOUND_CODES):
        return f"{there}. To see if it still exists: {stack.pulumi('preview --refresh')}"
    return ""
