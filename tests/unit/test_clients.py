"""Clients of AWS use the operator's profile; clients of an emulator ignore it."""

from pathlib import Path

import pytest

from stack.clients import Boto3Clients
from tests.unit.test_rooms import imported

CREDENTIALS = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
EMULATOR = "http://127.0.0.1:4566"


@pytest.fixture
def profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An operator's chosen profile, which has its own credentials and endpoint."""
    config = tmp_path / "config"
    config.write_text(
        "[profile mine]\naws_access_key_id = AKIAMINE\naws_secret_access_key = x\n"
        "endpoint_url = http://127.0.0.1:1\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_PROFILE", "mine")


@pytest.mark.usefixtures("profiles")
def test_an_emulator_is_asked_with_its_own_credentials_and_address() -> None:
    client = Boto3Clients("us-east-1", emulator=EMULATOR, credentials=CREDENTIALS)["sqs"]
    assert client.meta.endpoint_url == EMULATOR
    assert client._request_signer._credentials.access_key == "test"


def test_a_profile_that_does_not_exist_does_not_matter_to_an_emulator(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "none")
    assert Boto3Clients("us-east-1", emulator=EMULATOR, credentials=CREDENTIALS)["s3"]


@pytest.mark.usefixtures("profiles")
def test_aws_is_asked_with_the_operators_profile() -> None:
    client = Boto3Clients("eu-central-1")["sqs"]
    assert client.meta.region_name == "eu-central-1"
    assert client._request_signer._credentials.access_key == "AKIAMINE"


def test_a_client_is_made_once() -> None:
    clients = Boto3Clients("us-east-1", emulator=EMULATOR, credentials=CREDENTIALS)
    assert clients["s3"] is clients["s3"]
    clients.close()


def test_no_other_module_makes_clients() -> None:
    """The scripts in strings do not count: `make bench` measures boto3 in another process."""
    root = Path(__file__).parents[2]
    rooms = ("handler", "infra", "stack", "ops", "local", "simulation", "bench")
    found = [
        path.relative_to(root).as_posix()
        for room in rooms
        for path in (root / room).rglob("*.py")
        if "boto3" in imported(path.read_text())
    ]
    assert found == ["stack/clients.py"]
