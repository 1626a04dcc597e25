"""A log is read from S3 by one signed request. Every failure has a reason."""

import gzip
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from handler import log_object, log_reader
from handler.connections import new_session
from handler.events import Found, LogFile
from handler.log import Log
from handler.log_content import UnreadableLog
from handler.log_object import S3
from handler.log_reader import LogReader
from simulation.http_server import Answer, Request, Server
from simulation.samples import log_file, settings

LINE = b"INFO all is well\n"


class Clock:
    """A clock that moves only when the code waits."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> None:
        self.now += seconds


def reading(server: Server, clock: Clock | None = None, **changes: str) -> S3:
    clock = clock or Clock()
    environment = {
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "canary",
        "AWS_SESSION_TOKEN": "token",
        "AWS_ENDPOINT_URL": server.url,
        **changes,
    }
    return S3(environment, new_session(), endpoint=server.url, clock=clock, sleep=clock.wait)


def reader(server: Server) -> LogReader:
    return LogReader(settings(), objects=reading(server), log=Log("s3-logs/test"))


def content(s3: S3, file: LogFile) -> bytes:
    with s3.open(file) as chunks:
        return b"".join(chunks)


def refusal(code: str, message: str = "no") -> bytes:
    error = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    return f'<?xml version="1.0"?>\n{error}'.encode()


def test_an_object_is_read_by_one_signed_request(server: Server) -> None:
    server.body = LINE
    assert content(reading(server), log_file(tag="d41d8cd9-2")) == LINE
    (request,) = server.requests
    assert (request.method, request.path) == ("GET", "/logs-1a2b3c4/app/web.log")
    assert request.headers["If-Match"] == '"d41d8cd9-2"'
    assert request.headers["X-Amz-Security-Token"] == "token"
    assert request.headers["Accept-Encoding"] == "identity"
    assert "/eu-central-1/s3/aws4_request" in request.headers["Authorization"]


def test_the_very_version_is_read_that_the_event_names(server: Server) -> None:
    content(reading(server), log_file(version="a/b+c=", tag="d41d8cd9"))
    (request,) = server.requests
    assert request.path == "/logs-1a2b3c4/app/web.log?versionId=a%2Fb%2Bc%3D"
    assert request.headers["If-Match"] is None


def signed_by_botocore(request: Request, server: Server) -> str:
    """Return the signature that AWS's own SDK puts on a request."""
    headers = {
        name: value
        for name, value in request.headers.items()
        if name.lower().startswith("x-amz") and name.lower() != "x-amz-security-token"
    }
    made = AWSRequest("GET", server.url + request.path, headers=headers)
    made.context["timestamp"] = headers["x-amz-date"]
    auth = S3SigV4Auth(Credentials("AKIAEXAMPLE", "canary", "token"), "s3", "eu-central-1")
    made.headers["X-Amz-Security-Token"] = "token"
    canonical = auth.canonical_request(made)
    return str(auth.signature(auth.string_to_sign(made, canonical), made))


keys = st.text(
    st.characters(codec="utf-8") | st.sampled_from("./ +%~?&#="), min_size=1, max_size=40
)


@examples(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(keys, st.sampled_from(["", "v 1/+"]))
def test_any_key_is_signed_as_aws_does(server: Server, key: str, version: str) -> None:
    server.requests.clear()
    content(reading(server), log_file(key, version=version))
    (request,) = server.requests
    assert request.headers["Authorization"].endswith(
        "Signature=" + signed_by_botocore(request, server)
    )


@pytest.mark.parametrize(
    ("bucket", "url"),
    [
        ("logs", "https://logs.s3.eu-central-1.amazonaws.com/a//./..%20b?versionId=1"),
        ("my.logs", "https://s3.eu-central-1.amazonaws.com/my.logs/a//./..%20b?versionId=1"),
        ("x@evil/", "https://s3.eu-central-1.amazonaws.com/x%40evil%2F/a//./..%20b?versionId=1"),
    ],
)
def test_an_object_is_at_the_host_of_its_bucket(bucket: str, url: str) -> None:
    s3 = S3(
        {"AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "B"},
        new_session(),
        endpoint="https://s3.eu-central-1.amazonaws.com",
    )
    assert s3._url(log_file("a//./.. b", bucket=bucket, version="1")) == url


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (403, refusal("InvalidObjectState"), "it is archived"),
        (403, refusal("AccessDenied"), "no access, or it is gone"),
        (403, refusal("AccessDenied", "not allowed: kms:Decrypt"), "no access to its key"),
        (400, refusal("KMS.DisabledException"), "no access to its key"),
        (400, refusal("InvalidRequest", "stored using a form of Server Side Encryption"),
         "it has a customer's key"),
        (404, refusal("NoSuchKey"), "it is gone"),
        (404, refusal("NoSuchVersion"), "it is gone"),
        (404, refusal("NoSuchBucket"), "its bucket is gone"),
        (405, refusal("MethodNotAllowed"), "it is gone"),
        (412, refusal("PreconditionFailed"), "it was replaced"),
        (400, refusal("InvalidRequest"), "S3 says InvalidRequest"),
        (301, refusal("PermanentRedirect"), "S3 says PermanentRedirect"),
        (403, b"<html>by a proxy</html>", "S3 says 403"),
        (418, b"\xff" * 10_000, "S3 says 418"),
        (204, b"", "S3 says 204"),
    ],
)  # fmt: skip
def test_a_refusal_has_a_reason(server: Server, status: int, body: bytes, reason: str) -> None:
    server.status, server.body = status, body
    with pytest.raises(UnreadableLog, match=f"^{reason}$"):
        content(reading(server), log_file())
    assert len(server.requests) == 1


def test_no_other_host_gets_the_signed_request(server: Server) -> None:
    server.respond = lambda _: Answer(307, b"", {"Location": f"{server.url}/other"})
    with pytest.raises(UnreadableLog, match="^S3 says 307$"):
        content(reading(server), log_file())
    assert len(server.requests) == 1


@pytest.mark.parametrize("passing", [(503, refusal("SlowDown")), (500, b""), (0, b"")])
def test_s3_is_asked_again_after_a_moment(server: Server, passing: tuple[int, bytes]) -> None:
    server.closing.set()  # status 0 closes the connection at once
    server.answers = [passing, passing, (200, LINE)]
    assert content(reading(server), log_file()) == LINE


def test_s3_that_does_not_answer_delays_one_log_only(server: Server) -> None:
    server.closing.set()
    server.status = 0
    clock = Clock()
    s3 = reading(server, clock)
    for _ in range(3):
        with pytest.raises(UnreadableLog, match="^S3 does not answer$"):
            content(s3, log_file())
    assert len(server.requests) == 3
    clock.wait(31)
    server.status, server.body = 200, LINE
    assert content(s3, log_file()) == LINE


def test_an_object_that_breaks_off_gives_what_came(server: Server) -> None:
    server.respond = lambda _: Answer(200, LINE * 10, {"Content-Length": "1000000"})
    server.closes_connections = True
    found = reader(server).read(log_file(), ["INFO"], lambda: False)
    assert found == {"INFO": Found(10, LINE.decode().strip(), "only the first 170 B read", "INFO")}


def test_a_connection_is_used_again_for_the_next_log(server: Server) -> None:
    server.body = LINE
    s3 = reading(server)
    for _ in range(3):
        content(s3, log_file())
    assert len(server.connections) == 1


def test_what_is_left_of_a_large_object_is_not_read(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The real limit is 64 MB; here it is 64 kB, and the object is far larger."""
    monkeypatch.setattr(log_reader, "MAX_BYTES", 64_000)
    taken = 0

    server.body = LINE * 3_000_000
    read = log_object._chunks

    def counted(response: Any) -> Iterator[bytes]:
        nonlocal taken
        for chunk in read(response):
            taken += len(chunk)
            yield chunk

    monkeypatch.setattr(log_object, "_chunks", counted)
    found = reader(server).read(log_file(), ["INFO", "ERROR"], lambda: False)
    assert found["ERROR"] == Found(note="only the first 64 kB read", contains="ERROR")
    assert found["INFO"].lines == 64_000 // len(LINE) + 1
    assert taken < 200_000


def test_one_pass_serves_the_words_of_all_routes(server: Server) -> None:
    text = b"INFO one\nERROR: two\nFATAL: three\nERROR, FATAL: four\nend\n"
    server.body = gzip.compress(text)
    found = reader(server).read(
        log_file(), ["ERROR", "FATAL, one", "none", "", "ERROR"], lambda: False
    )
    assert found == {
        "ERROR": Found(2, "ERROR: two", contains="ERROR"),
        "FATAL, one": Found(3, "INFO one", contains="FATAL, one"),
        "none": Found(contains="none"),
        "": Found(5, "end"),
    }
    assert len(server.requests) == 1


def test_an_empty_log_is_not_asked_for(server: Server) -> None:
    found = reader(server).read(log_file(size=0), ["ERROR", ""], lambda: False)
    assert found == {"ERROR": Found(contains="ERROR"), "": Found()}
    assert server.requests == []


def test_without_time_nothing_is_read(server: Server) -> None:
    found = reader(server).read(log_file(), ["ERROR"], lambda: True)
    assert found == {"ERROR": Found(note="not read: no time", contains="ERROR")}
    assert server.requests == []


@pytest.mark.parametrize(
    ("body", "note"),
    [
        (b"PK\x03\x04" + bytes(100), "not read: zip"),
        (b"\x1f\x8b\x08bad", "not read: it is damaged"),
    ],
)
def test_a_log_that_cannot_be_unpacked_says_why(server: Server, body: bytes, note: str) -> None:
    server.body = body
    found = reader(server).read(log_file(), ["ERROR"], lambda: False)
    assert found == {"ERROR": Found(note=note, contains="ERROR")}
