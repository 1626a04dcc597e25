"""Secrets and phone numbers appear only where they must."""

import json
from pathlib import Path

from infra.package import build
from local.emulator import Emulator
from local.twilio import ACCOUNT_SID, StandIn
from local.twilio_faults import BROKEN, UNAUTHORIZED
from stack import ROOT
from tests.local.conftest import OTHER_PHONE, PHONE, SECRET, System

CANARY = "canary-" + "q" * 25


def bytes_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


def test_logs_outputs_errors_and_the_package_hold_no_secret_and_no_number(
    emulator: Emulator, twilio: StandIn
) -> None:
    route = {"name": "routed", "logs": "routed/*", "toNumbers": OTHER_PHONE}
    system = System(
        emulator,
        twilio,
        twilioSecret=CANARY,
        alarmEmail="on-call@example.com",
        routes=json.dumps([route]),
    )
    for fault in (None, BROKEN, UNAUTHORIZED):
        if fault:
            twilio.fault(fault)
        system.upload(f"{id(fault)}.log")
        system.upload(f"routed/{id(fault)}.log")
    system.decided("held", count=6)
    system.flush()
    lambda_ = system.aws["lambda"]
    for function in ("notifyFunction", "flushFunction"):
        answer = lambda_.invoke(FunctionName=system.outputs[function], Payload=b'{"Records": 1}')
        assert CANARY.encode() not in answer["Payload"].read()
    exposed = json.dumps(
        [system.logged("notify"), system.logged("flush"), system.outputs], ensure_ascii=False
    )
    dashboards = system.aws["cloudwatch"].list_dashboards()["DashboardEntries"]
    exposed += json.dumps(
        [
            system.aws["cloudwatch"].get_dashboard(DashboardName=one["DashboardName"])
            for one in dashboards
        ],
        default=str,
    )
    exposed += json.dumps(system.aws["cloudwatch"].describe_alarms(), default=str)
    exposed += json.dumps(
        system.aws["dynamodb"].scan(
            TableName=system.resource("aws:dynamodb/table:Table", "ledger").id
        ),
        default=str,
    )
    for hidden in (CANARY, SECRET, PHONE[2:], OTHER_PHONE[2:], ACCOUNT_SID):
        assert hidden not in exposed
    package = bytes_of(build(ROOT / "handler"))
    for hidden in (CANARY, PHONE, ACCOUNT_SID):
        assert hidden.encode() not in package
    system.destroy()


def test_the_page_shows_numbers_but_no_secret() -> None:
    """It must show the phones, and it listens on the loopback address only."""
    page = bytes_of(ROOT / "local" / "page").decode(errors="replace")
    assert "twilioSecret" not in page
    assert "TWILIO_SECRET" not in page
