"""Calls of AWS's JSON services with requests, which Twilio's client needs anyway.

boto3 would more than double a cold start: see docs/scale.md.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

import requests
from requests_aws4auth import AWS4Auth

from handler.retries import Retries, TryAgain

T = TypeVar("T")

Service = Literal["dynamodb", "sqs", "s3"]

# Source: the `targetPrefix` and `jsonVersion` of each service's model in botocore.
_TARGET_PREFIXES: dict[Service, str] = {"dynamodb": "DynamoDB_20120810", "sqs": "AmazonSQS"}

# By the beginning of a region's name. Source: `partitions.json` in botocore.
_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
}

# Parts of the codes of requests that were not processed, and may succeed a moment later.
# Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_THROTTLED = (
    "Throttl",
    "ThroughputExceeded",
    "RequestLimitExceeded",
    "TooManyRequests",
    "TransactionConflictException",
)

_OK, _TOO_MANY_REQUESTS, _SERVER_ERROR = 200, 429, 500

TIMEOUT_SECONDS = (1.0, 3.0)
"""How long to wait for AWS to connect, and then for its answer."""

TRIES = 3
"""The number of tries of a request if AWS does not answer, fails or is too busy."""

PAUSE_SECONDS = 0.05

UNREACHABLE_SECONDS = 30
"""Seconds without requests to a service that did not answer: each wait delays every text."""


def batches(items: Sequence[T], count: int) -> Iterator[Sequence[T]]:
    """Yield batches of this size."""
    for start in range(0, len(items), count):
        yield items[start : start + count]


def nested(value: object, *path: str | int) -> Any:
    """Return a part of an answer; None if the answer has another shape."""
    for key in path:
        try:
            value = value[key]  # type: ignore[index]  # it may be anything
        except (LookupError, TypeError):
            return None
    return value


def as_list(value: object) -> list[Any]:
    """Return a part of an answer that is a list; an empty list if it is none."""
    return value if isinstance(value, list) else []


def as_number(value: object) -> int | None:
    """Return a count or a time, which AWS sends as text; None if it is none."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        return int(value)
    return None


class AwsError(Exception):
    """AWS refused a request, or did not answer.

    Attributes:
        code: The error's name, such as `TransactionCanceledException`; `HTTP503` where the answer
            names none; "" without an answer.
        is_throttled: Whether AWS throttled the request, and so did not process it.
        is_temporary: Whether the same request may succeed a moment later.
        details: The other fields of the answer.
    """

    def __init__(
        self, operation: str, code: str, details: Mapping[str, Any], status: int = 0
    ) -> None:
        super().__init__(f"{operation}: {code or 'no answer'}")
        self.code = code
        self.details = details
        self.is_throttled = status == _TOO_MANY_REQUESTS or any(part in code for part in _THROTTLED)
        self.is_temporary = not code or self.is_throttled or status >= _SERVER_ERROR


class Aws:
    """Calls AWS as the function's role, over connections that are kept open.

    Attributes:
        retries: How requests to each service are tried again.
    """

    def __init__(
        self,
        environment: Mapping[str, str],
        session: requests.Session,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._environment = environment
        self._session = session
        self._clock = clock
        self._signers: dict[Service, AWS4Auth] = {}
        self._unreachable_until: dict[Service, float] = {}
        self.retries: dict[Service, Retries] = {
            service: Retries(clock, sleep) for service in _TARGET_PREFIXES
        }

    def call(self, service: Service, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Call one operation, and try again if AWS does not answer, fails or is too busy.

        The HTTP status decides, whatever the body: a proxy between may have written it.

        Raises:
            AwsError: It was refused, or is in doubt.
        """
        if self._clock() < self._unreachable_until.get(service, 0):
            raise AwsError(operation, "", {})

        def attempt() -> dict[str, Any]:
            try:
                return self._call(service, operation, payload)
            except AwsError as error:
                if error.is_temporary:
                    raise TryAgain(error, is_busy=bool(error.code)) from None
                raise

        try:
            return self.retries[service].run(attempt, tries=TRIES, seconds=PAUSE_SECONDS)
        except AwsError as error:
            if not error.code:
                self._unreachable_until[service] = self._clock() + UNREACHABLE_SECONDS
            raise

    def _call(self, service: Service, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        try:
            response = self._session.post(
                self.endpoint(service),
                data=json.dumps(payload),
                headers={
                    "Content-Type": "application/x-amz-json-1.0",
                    "X-Amz-Target": f"{_TARGET_PREFIXES[service]}.{operation}",
                },
                auth=self._signer(service),
                timeout=TIMEOUT_SECONDS,
            )
        except requests.RequestException:
            raise AwsError(operation, "", {}) from None
        answer = _read(response)
        status = response.status_code
        if status == _OK:
            if answer is None:
                # Not AWS's answer. The request is in doubt, as after an error at AWS.
                raise AwsError(operation, "NotAnAnswerOfAws", {}, _SERVER_ERROR)
            return answer
        kind = answer.get("__type") if answer else None
        code = kind.rpartition("#")[2] if isinstance(kind, str) else ""
        raise AwsError(operation, code or f"HTTP{status}", answer or {}, status)

    def endpoint(self, service: Service) -> str:
        """Return the address of a service in the function's region."""
        region = self._environment["AWS_REGION"]
        suffix = "amazonaws.com"
        for prefix, other in _SUFFIXES.items():
            if region.startswith(prefix):
                suffix = other
        # AWS's SDKs read an emulator's address from this variable.
        return self._environment.get("AWS_ENDPOINT_URL") or f"https://{service}.{region}.{suffix}"

    def _signer(self, service: Service) -> AWS4Auth:
        if service not in self._signers:
            self._signers[service] = AWS4Auth(
                self._environment["AWS_ACCESS_KEY_ID"],
                self._environment["AWS_SECRET_ACCESS_KEY"],
                self._environment["AWS_REGION"],
                service,
                session_token=self._environment.get("AWS_SESSION_TOKEN"),
            )
        return self._signers[service]


def _read(response: requests.Response) -> dict[str, Any] | None:
    """Read the body of an answer: an object, or nothing at all. None if it is anything else."""
    try:
        answer = response.json() if response.content else {}
    except (ValueError, RecursionError):
        return None
    return answer if isinstance(answer, dict) else None
