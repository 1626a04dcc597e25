"""Sample phones, log files, records of S3 and settings."""

import datetime
from pathlib import Path
from typing import Any

import yaml

from handler.environment import to_environment
from handler.events import LogFile
from handler.ledger import Limits
from handler.routes import Route, write
from handler.settings import Settings

_SETTINGS = yaml.safe_load((Path(__file__).parent.parent / "Pulumi.yaml").read_text())["config"]

PHONE = "+15005550100"
OTHER_PHONE = "+15005550101"
MESSAGE: str = _SETTINGS["message"]["default"]
LIMITS = Limits(texts_per_hour=30, texts_at_once=5, burst_seconds=300)
TIME = datetime.datetime(2026, 11, 23, 14, 5, 9, tzinfo=datetime.UTC)

_OF_THE_OBJECT = ("key", "size", "eTag", "versionId", "sequencer")


def record(key: str, **changes: Any) -> dict[str, Any]:
    """Make one record of S3's notification. A change to None leaves the field out."""
    described: dict[str, Any] = {
        "key": key,
        "size": 1024,
        "eTag": "d41d8cd9",
        "sequencer": "0A1B2C",
    }
    whole: dict[str, Any] = {
        "eventVersion": "2.6",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": "2026-11-23T14:05:09.120Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:EXAMPLE"},
        "requestParameters": {"sourceIPAddress": "192.0.2.1"},
        "responseElements": {"x-amz-request-id": "EXAMPLE", "x-amz-id-2": "EXAMPLE"},
    }
    described |= {name: value for name, value in changes.items() if name in _OF_THE_OBJECT}
    whole |= {name: value for name, value in changes.items() if name not in _OF_THE_OBJECT}
    return {name: value for name, value in whole.items() if value is not None} | {
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "notify",
            "bucket": {"name": "logs-1a2b3c4", "arn": "arn:aws:s3:::logs-1a2b3c4"},
            "object": {name: value for name, value in described.items() if value is not None},
        }
    }


def log_file(key: str = "app/web.log", **changes: Any) -> LogFile:
    """Make a log file."""
    return LogFile(
        **{"bucket": "logs-1a2b3c4", "key": key, "size": 1234567, "time": TIME, **changes}
    )


def settings(**changes: Any) -> Settings:
    """Make the handler's settings."""
    return Settings(
        **{
            "twilio_account_sid": "AC" + "0" * 32,
            "twilio_secret": "a secret",
            "twilio_api_url": "http://127.0.0.1:1",
            "from_number": "+15005550006",
            "to_numbers": (PHONE, OTHER_PHONE),
            "message": MESSAGE,
            "mode": "instant",
            "max_texts_per_hour": 30,
            "max_texts_at_once": 1000,
            "flush_minutes": 5,
            "ledger_table": "ledger",
            "held_queue": "https://sqs/held",
            "failed_queue": "https://sqs/failed",
            "timezone": "UTC",
            "stack": "s3-logs/test",
            **changes,
        }
    )


def environment(given: Settings) -> dict[str, str]:
    """Make the environment of a function with these settings, as the program does."""
    return to_environment(
        {
            **{name: str(value) for name, value in given._asdict().items()},
            "to_numbers": ",".join(given.to_numbers),
            "routes": write(given.routes, given),
        }
    )


def route(
    name: str, logs: str, *phones: str, flat: Settings | None = None, **changes: Any
) -> Route:
    """Make a route to phones. Its other fields come from the flat settings."""
    inheriting = Route.inheriting(flat or settings())
    return inheriting._replace(name=name, logs=logs, to_numbers=phones, **changes)


ROUTES, PHONES_A_ROUTE = 20, 5


def with_many_routes() -> Settings:
    """Make settings with twenty routes of five phones each."""
    return settings(
        routes=tuple(
            route(
                f"team{team}",
                f"team{team}/*.log, */team{team}/*.err",
                *(f"+1500555{team:02}{phone:02}" for phone in range(PHONES_A_ROUTE)),
                except_="*/debug/*, *.tmp",
            )
            for team in range(ROUTES)
        )
    )


ROUTED_KEYS = (
    "team0/2026/11/24/payments-service.log",
    "team19/2026/11/24/payments-service.log",
    "team19/2026/debug/payments-service.log",
    "production/eu-central-1/team10/" + "very-long-folder/" * 10 + "payments-service.err",
    "nobody/2026/11/24/größe.log",
)
"""Keys that match the first route, the last one, or none."""
