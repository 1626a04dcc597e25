"""Connections over real TLS, to a server with a certificate made by the test."""

import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import trustme

from handler import sender
from handler.aws import Aws, AwsError
from handler.connections import new_session
from handler.preconnect import MAX_IDLE_SECONDS, Preconnector
from handler.refusals import NO_ANSWER, NO_CONNECTION, Kind
from handler.sender import Refused, TwilioSender
from infra.package import split_certificates
from simulation.http_server import Handler, Server
from simulation.samples import PHONE, settings
from tests.unit.conftest import PATIENCE

CREATED = b'{"sid": "SM%s", "status": "queued"}' % (b"0" * 32)


@pytest.fixture(autouse=True)
def frozen_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock, so that no connection grows old on a busy machine."""
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now)


@pytest.fixture(params=["in a file", "in a folder"])
def authority(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> trustme.CA:
    """The only trusted certificate authority."""
    made = trustme.CA()
    trusted = tmp_path / "trusted.pem"
    made.cert_pem.write_to_path(trusted)
    if request.param == "in a folder":  # as the package has them
        split_certificates(trusted, tmp_path)
        trusted.unlink()
        trusted = tmp_path
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(trusted))
    return made


@pytest.fixture
def preconnector() -> Preconnector:
    return Preconnector()


@pytest.fixture
def session(authority: trustme.CA, preconnector: Preconnector) -> Iterator[requests.Session]:
    """A session that trusts the authority."""
    with new_session(preconnector) as made:
        yield made


def secured(server: Server, authority: trustme.CA, name: str = "127.0.0.1") -> str:
    """Add TLS to a server, and return its address."""
    server.use_tls(authority, name)
    return server.url


def aws(url: str, session: requests.Session) -> Aws:
    return Aws(
        {
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "canary",
            "AWS_ENDPOINT_URL": url,
        },
        session,
        sleep=lambda _: None,
    )


def test_the_certificates_are_read_once_for_all_connections(
    server: Server,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, read = secured(server, authority), []
    load = ssl.SSLContext.load_verify_locations

    def counted(context: ssl.SSLContext, cafile: str | None, capath: str | None, *_: None) -> None:
        read.append(cafile or capath)
        load(context, cafile, capath)

    monkeypatch.setattr(ssl.SSLContext, "load_verify_locations", counted)
    server.body = CREATED
    preconnector = Preconnector()
    preconnector.open(url)
    with new_session(preconnector) as session:
        aws(url, session).call("dynamodb", "GetItem", {})
        session.close()  # the next request needs a new connection
        TwilioSender(settings(twilio_api_url=url), session).send(PHONE, "a text")
    assert len(server.connections) == 2
    assert read == [os.environ["REQUESTS_CA_BUNDLE"]]


@pytest.mark.parametrize("preconnected", [False, True])
@pytest.mark.parametrize("certificate", ["by nobody", "as somebody else"])
def test_a_server_without_a_trusted_certificate_receives_no_request(
    server: Server,
    authority: trustme.CA,
    *,
    certificate: str,
    preconnected: bool,
    monkeypatch: pytest.MonkeyPatch,
    session: requests.Session,
    preconnector: Preconnector,
) -> None:
    if certificate == "by nobody":
        url = secured(server, trustme.CA())
    else:
        url = secured(server, authority, "api.twilio.com")
    if preconnected:
        preconnector.open(url)
    with pytest.raises(Refused) as caught:
        TwilioSender(settings(twilio_api_url=url), session).send(PHONE, "a text")
    assert caught.value.refusal.kind is Kind.BUSY
    with pytest.raises(AwsError):
        aws(url, session).call("dynamodb", "GetItem", {})
    assert server.requests == []


def test_a_request_takes_the_connection_that_was_preconnected(
    server: Server, authority: trustme.CA, session: requests.Session, preconnector: Preconnector
) -> None:
    calls = aws(secured(server, authority), session)
    preconnector.open(calls.endpoint("dynamodb"))
    preconnector.wait()
    assert (len(server.connections), server.requests) == (1, [])  # no request yet
    calls.call("dynamodb", "GetItem", {})
    assert (len(server.connections), len(server.requests)) == (1, 1)


def test_a_request_waits_for_the_connection_that_is_on_its_way(
    server: Server,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    session: requests.Session,
    preconnector: Preconnector,
) -> None:
    calls = aws(secured(server, authority), session)
    may_go = threading.Event()
    setup = Handler.setup
    monkeypatch.setattr(Handler, "setup", lambda self: may_go.wait(PATIENCE) and setup(self))
    take = Preconnector.take

    def answered_when_taken(self: Preconnector, host: str, port: int) -> Any:
        may_go.set()
        return take(self, host, port)

    monkeypatch.setattr(Preconnector, "take", answered_when_taken)
    preconnector.open(calls.endpoint("dynamodb"))
    calls.call("dynamodb", "GetItem", {})
    assert len(server.connections) == 1


def test_a_request_does_not_wait_for_the_answer_to_its_first_half(
    server: Server, authority: trustme.CA, preconnector: Preconnector
) -> None:
    """Nagle's algorithm would delay the second half. urllib3 switches it off as well."""
    preconnector.open(secured(server, authority))
    opened = preconnector.take("127.0.0.1", server.server_port)
    assert opened
    with opened:
        assert opened.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_to_an_emulator_nothing_is_preconnected(server: Server, preconnector: Preconnector) -> None:
    preconnector.open(server.url)
    preconnector.wait()
    assert server.connections == set()


def test_a_connection_is_taken_once(
    server: Server, authority: trustme.CA, session: requests.Session, preconnector: Preconnector
) -> None:
    calls = aws(secured(server, authority), session)
    preconnector.open(calls.endpoint("dynamodb"))
    server.closes_connections = True
    for _ in range(3):
        assert calls.call("dynamodb", "GetItem", {}) == {}
    assert len(server.connections) == 3


def test_a_connection_that_has_waited_for_long_is_not_used(
    server: Server,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    session: requests.Session,
    preconnector: Preconnector,
) -> None:
    calls = aws(secured(server, authority), session)
    preconnector.open(calls.endpoint("dynamodb"))
    preconnector.wait()
    later = time.time() + MAX_IDLE_SECONDS + 1
    monkeypatch.setattr("time.time", lambda: later)
    calls.call("dynamodb", "GetItem", {})
    assert len(server.connections) == 2


def test_an_answer_is_not_awaited_for_longer_on_a_connection_preconnected(
    server: Server,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    session: requests.Session,
    preconnector: Preconnector,
) -> None:
    monkeypatch.setattr(sender, "TIMEOUT_SECONDS", (0.2, 0.2))
    url = secured(server, authority)
    preconnector.open(url)
    server.status = 0
    with pytest.raises(Refused) as caught:
        TwilioSender(settings(twilio_api_url=url), session).send(PHONE, "a text")
    assert caught.value.refusal is NO_ANSWER
    assert len(server.connections) == 1


def test_a_failed_preconnection_is_reported_by_the_request_only(
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    session: requests.Session,
    preconnector: Preconnector,
) -> None:
    calls = aws("https://127.0.0.1:9", session)
    preconnector.open(calls.endpoint("dynamodb"))
    preconnector.wait()
    assert capfd.readouterr() == ("", "")
    with pytest.raises(AwsError):
        calls.call("dynamodb", "GetItem", {})


def test_a_connection_that_was_closed_meanwhile_is_opened_again(
    server: Server, session: requests.Session
) -> None:
    calls = aws(server.url, session)
    server.body = b"{}"
    server.closes_connections = True
    for _ in range(3):
        assert calls.call("dynamodb", "GetItem", {}) == {}
    assert len(server.connections) == 3


def test_a_text_goes_over_a_new_connection_after_some_idle_seconds(
    server: Server,
    authority: trustme.CA,
    monkeypatch: pytest.MonkeyPatch,
    session: requests.Session,
) -> None:
    """A frozen function does not notice a closed connection, and a text gets no second try."""
    server.body = CREATED
    texting = TwilioSender(settings(twilio_api_url=secured(server, authority)), session)
    for _ in range(2):
        texting.send(PHONE, "a text")
    assert len(server.connections) == 1
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + MAX_IDLE_SECONDS)
    texting.send(PHONE, "a text")
    assert len(server.connections) == 2


def test_a_refused_connection_to_twilio_is_not_retried(
    monkeypatch: pytest.MonkeyPatch, session: requests.Session
) -> None:
    """Twilio may have many addresses. Trying each would leave no time to hold the text."""
    asked: list[Any] = []

    def refuse(address: Any, timeout: float, **_: Any) -> None:
        asked.append(timeout)
        raise TimeoutError

    monkeypatch.setattr("urllib3.util.connection.create_connection", refuse)
    with pytest.raises(Refused) as caught:
        TwilioSender(settings(twilio_api_url="https://127.0.0.1:9"), session).send(PHONE, "a text")
    assert caught.value.refusal is NO_CONNECTION
    assert asked == [sender.TIMEOUT_SECONDS[0]]
