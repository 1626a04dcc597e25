"""The path of a log from the upload to the phone, on the emulator."""

import json
from collections.abc import Iterator

import pytest

from handler.environment import read_settings
from local.deployment import SIGNATURE_KEY, unwrap
from local.emulator import Emulator
from local.twilio import ACCOUNT_SID, StandIn
from tests.local.conftest import (
    OTHER_PHONE,
    PHONE,
    SECRET,
    Deploy,
    System,
    until,
)

STOPPED = "+15005550004"  # Twilio's magic number of a phone that replied STOP


@pytest.fixture(scope="module")
def system(emulator: Emulator, shared_twilio: StandIn) -> Iterator[System]:
    """The program with mostly default settings. Each test counts only its own texts."""
    deployed = System(
        emulator, shared_twilio, message="$key", maxTextsAtOnce="1000", maxTextsPerHour="1000"
    )
    yield deployed
    deployed.destroy()


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("app/web.log", "app/web.log"),
        ("my logs/a b.log", "my logs/a b.log"),
        ("a+b%2Fc&d=e.log", "a+b%2Fc&d=e.log"),
        ("logs/ünïcode.log", "logs/ünicode.log"),
        ("журнал/日誌.log", "журнал/日誌.log"),
        ("fire🔥.log", "fire🔥.log"),
        ("a'b\"c(1).log", "a'b\"c(1).log"),
        ("a" * 1020 + ".log", "a" * 62 + "..." + "a" * 91 + ".log"),
    ],
)
def test_a_text_names_a_key_of_any_characters(system: System, key: str, expected: str) -> None:
    before = len(system.twilio.texts)
    system.upload(key)
    assert system.texts(before + 1)[before].body == expected


def test_other_files_cause_no_text(system: System) -> None:
    before = len(system.twilio.texts)
    for key in ("a.LOG", "a.log.gz", "a.txt", "log"):
        system.upload(key)
    system.upload("the last one.log")
    assert [text.body for text in system.texts(before + 1)[before:]] == ["the last one.log"]


def test_a_large_upload_and_a_copy_are_texted(system: System) -> None:
    before = len(system.twilio.texts)
    s3, bucket = system.aws["s3"], system.outputs["bucket"]
    upload = s3.create_multipart_upload(Bucket=bucket, Key="large.log")["UploadId"]
    parts = []
    for number, body in ((1, b"x" * 5 * 1024 * 1024), (2, b"the end")):
        part = s3.upload_part(
            Bucket=bucket, Key="large.log", UploadId=upload, PartNumber=number, Body=body
        )
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    s3.complete_multipart_upload(
        Bucket=bucket, Key="large.log", UploadId=upload, MultipartUpload={"Parts": parts}
    )
    assert system.texts(before + 1)[before].body == "large.log"
    s3.copy_object(Bucket=bucket, Key="copy.log", CopySource={"Bucket": bucket, "Key": "large.log"})
    assert system.texts(before + 2)[before + 1].body == "copy.log"


def test_ten_files_at_once_are_ten_texts(system: System) -> None:
    before = len(system.twilio.texts)
    keys = {f"at once/{number}.log" for number in range(10)}
    for key in keys:
        system.upload(key)
    assert {text.body for text in system.texts(before + 10)[before:]} == keys


def test_a_duplicate_of_an_event_causes_no_text(system: System) -> None:
    before = len(system.twilio.texts)
    for _ in range(3):
        system.notify(system.event("duplicate.log"))
    system.notify(system.event("duplicate.log", sequencer="0B"))  # overwritten on purpose
    assert [text.body for text in system.texts(before + 2)[before:]] == ["duplicate.log"] * 2


def test_a_phone_that_fails_stops_no_other(deploy: Deploy) -> None:
    system = deploy(toNumbers=f"{STOPPED},{PHONE}")
    system.upload("app/web.log")
    (text,) = system.texts(1)
    assert text.to == PHONE
    (line,) = system.decided("failed")
    assert (line["code"], line["phone"]) == ("21610", "…0004")
    (kept,) = system.on("failed")
    assert (kept["phones"], kept["file"]["key"]) == ([STOPPED], "app/web.log")


def test_refused_credentials_lose_no_text_and_are_not_logged(deploy: Deploy) -> None:
    system = deploy(twilioSecret="wrong-canary", toNumbers=f"{PHONE},{OTHER_PHONE}")
    system.upload("app/web.log")
    lines = system.decided("held", count=2)
    assert {line["phone"] for line in lines} == {"…0100", "…0101"}
    assert lines[0]["code"] == "20003"
    # Twilio was asked for one phone only. The reasons differ, so each phone has its own message.
    held = [phone for message in system.on("held") for phone in message["phones"]]
    assert sorted(held) == [PHONE, OTHER_PHONE]
    logged = json.dumps(system.logged(), ensure_ascii=False)
    for hidden in ("wrong-canary", SECRET, PHONE, OTHER_PHONE, ACCOUNT_SID):
        assert hidden not in logged


def test_an_api_key_and_a_messaging_service_text_as_well(emulator: Emulator) -> None:
    key, service = "SK" + "1" * 32, "MG" + "2" * 32
    with StandIn(credentials={key: SECRET}) as twilio:
        system = System(emulator, twilio, fromNumber="", messagingServiceSid=service)
        system.upload("app/web.log")
        (text,) = system.texts(1)
        assert text.service == service
        system.destroy()


def test_the_handler_reads_the_environment_in_lambda(system: System) -> None:
    found = system.aws["lambda"].get_function_configuration(
        FunctionName=system.outputs["notifyFunction"]
    )
    assert read_settings(found["Environment"]["Variables"]).to_numbers == (PHONE,)
    assert found["KMSKeyArn"] == system.resource("aws:kms/key:Key", "functions").state["arn"]


def test_the_deployed_bucket_is_private(system: System) -> None:
    s3, bucket = system.aws["s3"], system.outputs["bucket"]
    block = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert all(block.values())
    owner = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert owner == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    assert rule["AbortIncompleteMultipartUpload"] == {"DaysAfterInitiation": 7}


def test_nothing_is_left_when_everything_is_deleted(emulator: Emulator, twilio: StandIn) -> None:
    def there() -> dict[str, list[str]]:
        aws = emulator.aws
        return {
            "buckets": [one["Name"] for one in aws["s3"].list_buckets()["Buckets"]],
            "functions": [
                one["FunctionName"] for one in aws["lambda"].list_functions()["Functions"]
            ],
            "queues": aws["sqs"].list_queues().get("QueueUrls", []),
            "tables": aws["dynamodb"].list_tables()["TableNames"],
            "roles": [one["RoleName"] for one in aws["iam"].list_roles()["Roles"]],
            "schedules": [one["Name"] for one in aws["scheduler"].list_schedules()["Schedules"]],
        }

    before = there()
    system = System(emulator, twilio)
    assert all(len(now) > len(before[kind]) for kind, now in there().items())
    system.upload("a.log")
    system.texts(1)
    system.destroy()
    until(lambda: there() == before, "everything deleted")


def test_only_the_emulator_gets_secrets_in_plain_text(system: System) -> None:
    marked = {SIGNATURE_KEY: "1b47061264138c4ac30d75fd1eb44270", "value": "x"}
    assert unwrap({"a": [marked]}) == {"a": ["x"]}
    assert SECRET not in json.dumps(system.outputs)
