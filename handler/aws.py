"""Calling AWS: two services that speak JSON, by requests, which Twilio's client brings anyway.

boto3 would add 190 ms to a cold start, and its signing alone 47 ms; requests-aws4auth adds 1.
"""

import json
import random
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

import requests
from requests_aws4auth import AWS4Auth

from handler import ahead, connections

T = TypeVar("T")

Service = Literal["dynamodb", "sqs"]

# Source: the `targetPrefix` and `jsonVersion` of each service's model in botocore.
_TARGETS = {"dynamodb": "DynamoDB_20120810", "sqs": "AmazonSQS"}

# By the beginning of a region's name. Source: `partitions.json` in botocore.
_SUFFIXES = {
    "cn-": "amazonaws.com.cn",
    "eusc-": "amazonaws.eu",
    "eu-isoe-": "cloud.adc-e.uk",
    "us-iso-": "c2s.ic.gov",
    "us-isob-": "sc2s.sgov.gov",
    "us-isof-": "csp.hci.ic.gov",
}

# Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html
_BUSY = ("Throttl", "ThroughputExceeded", "RequestLimitExceeded")

SECONDS = (1.0, 3.0)
"""How long to wait for AWS to connect, and then for its answer."""

TRIES = 3

SILENT_SECONDS = 30
"""How long a service that did not answer is not asked again: its silence costs everybody's time."""


def batches(items: Sequence[T], count: int) -> Iterator[Sequence[T]]:
    """Give so many at a time, as AWS takes them."""
    for start in range(0, len(items), count):
        yield items[start : start + count]


class AwsError(Exception):
    """AWS refused a request, or did not answer.

    Attributes:
        code: The error's name, such as `TransactionCanceledException`; "" without an answer.
        busy: Whether it was asked too much: the request was not processed.
        details: What else the answer said.
    """

    def __init__(self, operation: str, code: str, details: Mapping[str, Any]) -> None:
        super().__init__(f"{operation}: {code or 'no answer'}")
        self.code = code
        self.details = details
        self.busy = any(part in code for part in _BUSY)


class Aws:
    """Calls AWS as the function's role, over connections that are kept open."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self._signers: dict[Service, AWS4Auth] = {}
        self._silent_until: dict[Service, float] = {}

    def call(self, service: Service, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Call one operation, trying again what AWS did not answer or was too busy for.

        Raises:
            AwsError: It was refused, or is in doubt.
        """
        if time.monotonic() < self._silent_until.get(service, 0):
            raise AwsError(operation, "", {})
        for attempt in range(1, TRIES + 1):
            try:
                return self._call(service, operation, payload)
            except AwsError as error:
                if error.code and not error.busy and "Internal" not in error.code:
                    raise
                if attempt == TRIES:
                    if not error.code:
                        self._silent_until[service] = time.monotonic() + SILENT_SECONDS
                    raise
            time.sleep(random.uniform(0.05, 0.1) * 2**attempt)  # noqa: S311  # no secret
        raise AssertionError  # the last try returns or raises

    def open_ahead(self, service: Service) -> None:
        """Open the connection to a service before there is a request for it."""
        ahead.open_connection(self._endpoint(service))

    def _call(self, service: Service, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        try:
            response = connections.session().post(
                self._endpoint(service),
                data=json.dumps(payload),
                headers={
                    "Content-Type": "application/x-amz-json-1.0",
                    "X-Amz-Target": f"{_TARGETS[service]}.{operation}",
                },
                auth=self._signer(service),
                timeout=SECONDS,
            )
            answer = response.json() if response.content else {}
        except (requests.RequestException, ValueError):
            raise AwsError(operation, "", {}) from None
        if response.ok:
            return dict(answer)
        code = str(answer.get("__type") or f"InternalError{response.status_code}")
        raise AwsError(operation, code.rpartition("#")[2], answer)

    def _endpoint(self, service: Service) -> str:
        region = self._environment["AWS_REGION"]
        suffix = "amazonaws.com"
        for beginning, other in _SUFFIXES.items():
            if region.startswith(beginning):
                suffix = other
        # The variable by which every SDK of AWS's is pointed at an emulator.
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
