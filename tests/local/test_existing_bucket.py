"""An existing bucket: its logs are texted, and its own notifications stay."""

import contextlib
from collections.abc import Iterator

import pytest

from local.emulator import Emulator
from ops.smoke import Smoke
from stack.deployed import Stack
from tests.local.conftest import Deploy

BUCKET = "their-logs"


@pytest.fixture
def bucket(emulator: Emulator) -> Iterator[str]:
    s3 = emulator.aws["s3"]
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET, NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    yield BUCKET
    with contextlib.suppress(s3.exceptions.NoSuchBucket):
        for found in s3.list_objects_v2(Bucket=BUCKET).get("Contents", []):
            s3.delete_object(Bucket=BUCKET, Key=found["Key"])
        s3.delete_bucket(Bucket=BUCKET)


def test_the_logs_of_an_existing_bucket_are_texted_and_the_bucket_stays(
    bucket: str, deploy: Deploy
) -> None:
    system = deploy(
        existingBucket=bucket,
        filterPrefix="app/",
        filterSuffix=".log.gz,.log",
        message="$key",
        forceDestroy="false",
    )
    for key in ("other/a.log", "app/a.txt", "app/my logs/a+b%2F.log", "app/b.log.gz"):
        system.upload(key)
    assert {text.body for text in system.texts(2)} == {"app/my logs/a+b%2F.log", "app/b.log.gz"}
    steps: list[str] = []
    Smoke(Stack("test", system.outputs, system.aws), steps.append).run()
    assert "delivered to" in steps[-2]
    system.destroy()
    s3 = system.aws["s3"]
    assert len(s3.list_objects_v2(Bucket=bucket)["Contents"]) == 4
    assert "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket=bucket)
