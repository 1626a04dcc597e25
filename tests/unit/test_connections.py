"""Connections over real TLS, to a server with a certificate of its own making."""

import os
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from handler import connections
from handler.aws import Aws, AwsError
from handler.refusals import Kind
from handler.sender import Refused, TwilioSender
from tests.unit.fakes import PHONE, settings
from tests.unit.http_server import Server

CREATED = b'{"sid": "SM0123", "status": "queued"}'


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[trustme.CA]:
    """The one authority that is trusted, by a process that has not connected yet."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "trusted.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "trusted.pem"))
    forget()
    yield made
    forget()


def forget() -> None:
    if connections._make.cache_info().currsize:
        connections.session().close()
    connections._make.cache_clear()


def secured(server: Server, authority: trustme.CA, name: str = "127.0.0.1") -> str:
    """Let a server speak TLS. Gives its address."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    return server.url.replace("http:", "https:")


def aws(url: str) -> Aws:
    return Aws(
        {
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "canary",
            "AWS_ENDPOINT_URL": url,
        }
    )


def test_the_certificates_are_read_once_for_all_connections(
    server: Server, authority: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, read = secured(server, authority), []
    load = ssl.SSLContext.load_verify_locations

    def counted(context: ssl.SSLContext, cafile: str) -> None:
        read.append(cafile)
        load(context, cafile)

    monkeypatch.setattr(
        ssl.SSLContext, "load_verify_locations", lambda self, cafile, *_: counted(self, cafile)
    )
    server.body = CREATED
    aws(url).call("dynamodb", "GetItem", {})
    connections.session().close()  # the next request needs a new connection
    TwilioSender(settings(twilio_api_url=url)).send(PHONE, "a text")
    assert len(server.connections) == 2
    assert read == [os.environ["REQUESTS_CA_BUNDLE"]]


@pytest.mark.parametrize("vouched_for", ["by nobody", "as somebody else"])
def test_whoever_is_not_vouched_for_is_told_nothing(
    server: Server, authority: trustme.CA, vouched_for: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    if vouched_for == "by nobody":
        url = secured(server, trustme.CA())
    else:
        url = secured(server, authority, "api.twilio.com")
    with pytest.raises(Refused) as caught:
        TwilioSender(settings(twilio_api_url=url)).send(PHONE, "a text")
    assert caught.value.refusal.kind is Kind.BUSY
    with pytest.raises(AwsError):
        aws(url).call("dynamodb", "GetItem", {})
    assert server.requests == []


def test_a_request_takes_the_connection_that_was_opened_ahead(
    server: Server, authority: trustme.CA
) -> None:
    url = secured(server, authority)
    calls = aws(url)
    calls.open_ahead("dynamodb")
    wait_for_threads()
    calls.call("dynamodb", "GetItem", {})
    (_, ahead, nothing), _ = server.requests
    assert len(server.connections) == 1
    assert (ahead["Authorization"], nothing) == (None, "")


def test_nobody_there_to_connect_to_is_for_the_request_to_find(
    capfd: pytest.CaptureFixture[str],
) -> None:
    connections.open_ahead("http://127.0.0.1:9")
    wait_for_threads()
    assert capfd.readouterr() == ("", "")


def test_a_connection_that_was_closed_meanwhile_is_opened_again(server: Server) -> None:
    calls = aws(server.url)
    server.body = b"{}"
    server.closes = True
    for _ in range(3):
        assert calls.call("dynamodb", "GetItem", {}) == {}
    assert len(server.connections) == 3


def wait_for_threads() -> None:
    for thread in threading.enumerate():
        if thread._target is connections._open:  # type: ignore[attr-defined]
            thread.join(10)
