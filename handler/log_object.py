"""The reading of a log from S3: one signed GET over the open connections.

Imported only in a stack that looks inside logs.
"""

import contextlib
import re
import time
import urllib.parse
from collections.abc import Callable, Iterator, Mapping

import requests
from requests_aws4auth import AWS4Auth
from urllib3.exceptions import HTTPError

from handler.aws import PAUSE_SECONDS, TIMEOUT_SECONDS, TRIES, UNREACHABLE_SECONDS
from handler.events import LogFile
from handler.log_content import BLOCK_BYTES, UnreadableLog
from handler.retries import Retries, TryAgain

MAX_ERROR_BYTES = 4096
"""The bytes of an error that are read: its code is at the beginning."""

_TAG = re.compile(r"[\w-]+", re.ASCII)

_LABEL = re.compile(r"[a-z0-9-]{1,63}")
"""A bucket's name that may begin the name of its host: S3's certificates allow no other dot."""

NO_ANSWER = "S3 does not answer"

# Sources: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
# and https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObject.html
_REASONS = {
    "InvalidObjectState": "it is archived",
    "NoSuchKey": "it is gone",
    "NoSuchVersion": "it is gone",
    "NoSuchBucket": "its bucket is gone",
    "MethodNotAllowed": "it is gone",  # the version is the marker of a deletion
    "PreconditionFailed": "it was replaced",
    # S3 does not tell which, to a role that may not list the bucket.
    "AccessDenied": "no access, or it is gone",
}

_NO_KEY = "no access to its key"
_CUSTOMER_KEY = "it has a customer's key"


class S3:
    """Opens objects as the function's role."""

    def __init__(
        self,
        environment: Mapping[str, str],
        session: requests.Session,
        *,
        endpoint: str,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Make it.

        Args:
            environment: Has the role's credentials.
            session: The connections.
            endpoint: S3's address in the region.
            clock: The time, in seconds.
            sleep: Waits so many seconds.
        """
        self._session = session
        self._endpoint = urllib.parse.urlsplit(endpoint)
        self._is_emulator = "AWS_ENDPOINT_URL" in environment
        self._clock = clock
        self._retries = Retries(clock, sleep)
        self._unreachable_until = 0.0
        self._signer = _Signer(
            environment["AWS_ACCESS_KEY_ID"],
            environment["AWS_SECRET_ACCESS_KEY"],
            environment["AWS_REGION"],
            "s3",
            session_token=environment.get("AWS_SESSION_TOKEN"),
        )

    @contextlib.contextmanager
    def open(self, file: LogFile) -> Iterator[Iterator[bytes]]:
        """Open the version of an object that an event names, to read it in chunks.

        Without a version it must have the event's eTag. Other content has an event of its own.

        Raises:
            UnreadableLog: It cannot be read.
        """
        if self._clock() < self._unreachable_until:
            raise UnreadableLog(NO_ANSWER)
        try:
            response = self._retries.run(
                lambda: self._get(file), tries=TRIES, seconds=PAUSE_SECONDS
            )
        except UnreadableLog as error:
            if str(error) == NO_ANSWER:
                self._unreachable_until = self._clock() + UNREACHABLE_SECONDS
            raise
        with response:  # closes the connection if anything is left to read
            yield _chunks(response)

    def _get(self, file: LogFile) -> requests.Response:
        headers = {"Accept-Encoding": "identity"}
        if _TAG.fullmatch(file.tag) and not file.version:
            headers["If-Match"] = f'"{file.tag}"'
        request = self._session.prepare_request(
            requests.Request("GET", self._endpoint.geturl(), headers=headers)
        )
        # Set here, because requests would resolve the dots in a key.
        request.url = self._url(file)
        try:
            response = self._session.send(
                self._signer(request),
                timeout=TIMEOUT_SECONDS,
                stream=True,
                allow_redirects=False,
            )
        except requests.RequestException:
            raise TryAgain(UnreadableLog(NO_ANSWER), is_busy=False) from None
        if response.status_code == requests.codes.ok:
            return response
        with response:
            error = UnreadableLog(_reason(response))
        if response.status_code >= requests.codes.server_error:
            raise TryAgain(error, is_busy=True)
        raise error

    def _url(self, file: LogFile) -> str:
        host = self._endpoint.netloc
        path = "/" + urllib.parse.quote(file.key, safe="/~")
        if _LABEL.fullmatch(file.bucket) and not self._is_emulator:
            host = f"{file.bucket}.{host}"
        else:
            path = f"/{urllib.parse.quote(file.bucket, safe='')}{path}"
        query = f"?versionId={urllib.parse.quote(file.version, safe='')}" if file.version else ""
        return f"{self._endpoint.scheme}://{host}{path}{query}"


class _Signer(AWS4Auth):  # type: ignore[misc]  # requests-aws4auth has no types
    """Signs a path as it is sent: for S3 two slashes are not one, and a dot is a dot."""

    def amz_cano_path(self, path: str) -> str:
        return path


def _chunks(response: requests.Response) -> Iterator[bytes]:
    """Give the object as it is stored: unpacking is for `handler.log_content`."""
    try:
        while chunk := response.raw.read(BLOCK_BYTES, decode_content=False):
            yield chunk
    except (HTTPError, OSError):
        raise UnreadableLog("S3 broke off") from None


def _reason(response: requests.Response) -> str:
    """Say in the words of a text why S3 refused to give an object."""
    try:
        body = response.raw.read(MAX_ERROR_BYTES, decode_content=True).decode(errors="replace")
    except (HTTPError, OSError):
        body = ""
    found = re.search(r"<Code>([\w.]{1,60})</Code>", body)
    code = found[1] if found else ""
    if code.startswith("KMS") or "kms:" in body:
        return _NO_KEY
    if code == "InvalidRequest" and "Server Side Encryption" in body:
        return _CUSTOMER_KEY
    return _REASONS.get(code, f"S3 says {code or response.status_code}")
