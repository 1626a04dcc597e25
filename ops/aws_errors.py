"""What an error of AWS's means for an operator, and what to do about it."""

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

_NOBODY = (
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
"""Nothing was asked: there are no credentials, or they could not be renewed."""

# Each service has its own words for the same.
_NOBODY_CODES = frozenset(
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
"""What the SSO portal is asked for credentials by."""

_CLOCK_CODES = frozenset({"RequestExpired", "RequestInTheFuture", "RequestTimeTooSkewed"})
_CLOCK_WORDS = ("Signature expired", "Signature not yet current")

_DENIED = ("AccessDenied", "AuthorizationError", "Unauthorized", "Forbidden")
_GONE = ("NotFound", "NonExistent", "DoesNotExist", "NoSuch")


def explained(error: BotoCoreError | ClientError, stack: Stack | None) -> str:
    """Return one line: what AWS's error means, and what to do.

    Args:
        error: The error.
        stack: The stack, if it could be opened. Only after a refusal is AWS asked whose
            credentials these are: they may be another account's.
    """
    if isinstance(error, _NOBODY):
        return _nobody(str(error))
    if isinstance(error, EndpointConnectionError) and stack and stack.is_demo:
        return "The demo does not answer: it has ended. Start one in another terminal: make demo"
    if not isinstance(error, ClientError):
        return f"AWS does not answer{_in_region(stack)}: {error}"
    code, said = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    refusal = f"{code}: {said}"
    if code in _CLOCK_CODES or any(words in said for words in _CLOCK_WORDS):
        return f"The clock of this machine is wrong, so that AWS refuses each request ({refusal})"
    if code in _NOBODY_CODES or error.operation_name in _OF_SSO:
        return _nobody(refusal)
    return f"AWS says no to {error.operation_name}: {refusal}{_where(stack, code)}"


def _nobody(why: str) -> str:
    return (
        f"AWS does not know who you are ({why.rstrip('.')}). With SSO: aws sso login, with "
        "AWS_PROFILE set to the profile; for the first time, or with access keys: aws configure"
    )


def _in_region(stack: Stack | None) -> str:
    return f" in {stack.region}" if stack else ""


def _where(stack: Stack | None, code: str) -> str:
    """Say which account and region the stack is in, and whether the credentials are for it."""
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
        return f"{there}: do your credentials have that permission there?"
    if any(word in code for word in _GONE):
        return f"{there}: is it still there? {stack.pulumi('preview --refresh')}"
    return ""
