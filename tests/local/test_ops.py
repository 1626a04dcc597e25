"""The operator's commands on the emulator."""

import datetime
import json
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from local.emulator import Emulator
from local.twilio import ACCOUNT_SID, StandIn
from local.twilio_faults import UNAUTHORIZED, Fault
from ops import commands, smoke
from stack import ROOT, log_lines, queues
from stack.deployed import Stack, StackError
from tests.local.conftest import PHONE, SECRET, Deploy, System
from tests.local.operated import ALARM, output_of, stack_of

STOPPED = "+15005550004"
HOSTILE = "[bold]x[/bold] \n<b>.log"


def smoked(system: System) -> list[str]:
    """Run the smoke test. Return its steps."""
    steps: list[str] = []
    smoke.Smoke(stack_of(system), steps.append).run()
    return [step[10:] for step in steps]


@pytest.fixture(scope="module")
def busy(emulator: Emulator) -> Iterator[System]:
    """A stack on which one text was sent, one is held and one failed."""
    with StandIn(credentials={ACCOUNT_SID: SECRET}) as twilio:
        system = System(emulator, twilio, toNumbers=f"{PHONE},{STOPPED}", maxTextsPerHour="1")
        system.upload(HOSTILE)
        system.decided("failed")
        system.texts(1)
        system.upload("over the limit.log")
        system.decided("held")
        yield system
        system.destroy()


def test_status_shows_sent_held_and_failed_texts_with_their_reasons(busy: System) -> None:
    shown = output_of("status", busy)
    for expected in (
        "s3-logs/demo",
        "…0100, …0004",
        "instant, at most 1 texts a phone and hour",
        f"of {sum(one.type == ALARM for one in busy.made)} ",
        "delivered",
        "[bold]x[/bold]",
        "over the limit",
        "phone (21610: the recipient replied STOP)",
        "make redrive STACK=test",
    ):
        assert expected in shown, shown
    for hidden in (PHONE, STOPPED, SECRET):
        assert hidden not in shown


def test_status_takes_nothing_from_the_queues(busy: System) -> None:
    before = {queue: queues.count(stack_of(busy), queue).all for queue in ("held", "failed")}
    assert all(before.values())
    for _ in range(2):
        output_of("status", busy)
    assert len(busy.on("held")) == before["held"]
    assert len(busy.on("failed")) == before["failed"]


def test_status_shows_quiet_hours_in_force_and_a_text_that_did_not_arrive(deploy: Deploy) -> None:
    now = datetime.datetime.now(datetime.UTC)
    hours = f"{now - datetime.timedelta(hours=1):%H:%M}-{now + datetime.timedelta(hours=1):%H:%M}"
    assert f"{hours} UTC, now" in output_of("status", deploy(quietHours=hours))
    system = deploy()
    system.twilio.undeliverable[PHONE] = 30007
    system.upload("a.log")
    system.texts(1)
    system.decided("sent")
    assert "undelivered 30007: a carrier's filter took it for spam" in output_of("status", system)


def test_smoke_and_status_know_a_stack_that_only_routes_text(deploy: Deploy) -> None:
    route = {"name": "errors", "logs": "app/*.log", "toNumbers": PHONE, "contains": "ERROR, FATAL"}
    system = deploy(toNumbers="", routes=json.dumps([route]))
    uploaded, *_, delivered, _ = smoked(system)
    assert uploaded.startswith("uploaded app/smoke-")
    assert delivered == "delivered to …0100"
    system.upload("other.log")
    system.decided("no route")
    shown = output_of("status", system)
    assert "nobody: toNumbers is empty\n" in shown
    assert re.search(r"│ errors +│ app/\*\.log, with ERROR, FATAL +│ …0100 ", shown), shown
    assert "matched no route, and texted nobody: 1, such as other.log\n" in shown


def test_smoke_follows_a_log_to_its_delivery_and_removes_it(deploy: Deploy) -> None:
    system = deploy(filterPrefix="app/", filterSuffix=".txt,.log.gz")
    uploaded, *rest = smoked(system)
    assert uploaded.startswith("uploaded app/smoke-")
    assert rest == [
        "notify has seen it",
        f"Twilio accepted the text to …0100 as {system.twilio.texts[0].sid}",
        "delivered to …0100",
        "removed the file",
    ]
    assert "Contents" not in system.aws["s3"].list_objects_v2(Bucket=system.outputs["bucket"])


@pytest.mark.parametrize(
    ("fault", "undeliverable", "why"),
    [
        (UNAUTHORIZED, {}, r"held for …0100: wrong credentials, or the account is suspended"),
        (None, {PHONE: 30003}, r"not delivered: undelivered, 30003: the phone is switched off"),
    ],
)
def test_smoke_says_where_a_log_stops_and_removes_it(
    deploy: Deploy, fault: Fault | None, undeliverable: dict[str, int], why: str
) -> None:
    system = deploy()
    system.twilio.undeliverable |= undeliverable
    if fault:
        system.twilio.fault(fault)
    with pytest.raises(smoke.SmokeFailed, match=why):
        smoked(system)
    assert "Contents" not in system.aws["s3"].list_objects_v2(Bucket=system.outputs["bucket"])


def test_smoke_says_where_to_look_when_twilio_was_not_asked(deploy: Deploy) -> None:
    system = deploy()
    system.twilio.fault(UNAUTHORIZED)
    with pytest.raises(smoke.SmokeFailed, match=r"account is suspended \(20003\)$"):
        smoked(system)
    with pytest.raises(
        smoke.SmokeFailed, match=r"not tried after a refusal \(why: make status STACK=test\)$"
    ):
        smoked(system)


def test_smoke_says_that_s3_does_not_call_notify(
    deploy: Deploy, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = deploy()
    system.aws["s3"].put_bucket_notification_configuration(
        Bucket=system.outputs["bucket"], NotificationConfiguration={}
    )
    monkeypatch.setattr(smoke, "NOTIFY_SECONDS", (1, 1))
    with pytest.raises(smoke.SmokeFailed, match="S3 did not call it"):
        smoked(system)


def test_smoke_succeeds_where_a_setting_holds_the_text(deploy: Deploy) -> None:
    steps = smoked(deploy(mode="digest"))
    assert "held for …0100, as set: digest; Twilio was not asked" in steps


def test_failed_events_are_redriven_and_flushed_with_one_command_each(deploy: Deploy) -> None:
    system = deploy()
    event = system.event("given up.log")
    envelope = {"requestContext": {"condition": "RetriesExhausted"}, "requestPayload": event}
    for _ in range(12):
        system.aws["sqs"].send_message(
            QueueUrl=system.outputs["failedQueue"], MessageBody=json.dumps(envelope)
        )
    assert "Lambda gave up on it: RetriesExhausted" in output_of("status", system)
    assert output_of("redrive", system).startswith("Moved to held: 12.")
    assert output_of("redrive", system) == "Nothing has failed.\n"
    flushed = output_of("flush", system)
    assert "sent  …0100" in flushed
    assert flushed.endswith("Texted: 1 file in 1 text.\nNothing is held now.\n")
    assert len(system.texts(1)) == 1


def test_a_flush_that_fails_says_why(deploy: Deploy) -> None:
    system = deploy()
    system.aws["lambda"].update_function_configuration(
        FunctionName=system.outputs["flushFunction"], Environment={"Variables": {}}
    )
    with pytest.raises(StackError, match="The flush failed: "):
        output_of("flush", system)


def test_tail_gives_each_line_once_as_it_comes(deploy: Deploy) -> None:
    system = deploy()
    system.upload("first.log")
    system.decided("sent")

    def upload_more(_seconds: float) -> None:
        if len(system.twilio.texts) == 1:
            system.upload("second.log")
            system.texts(2)

    since = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=5)
    found = []
    for line in log_lines.follow(stack_of(system), since=since, wait=upload_more):
        found.append((line.outcome, line.fields.get("key")))
        if found[-1] == ("sent", "second.log"):
            break
    decisions = [one for one in found if one[0] == "sent"]
    assert decisions == [("sent", "first.log"), ("sent", "second.log")]


def test_a_stack_of_another_version_is_reported(deploy: Deploy) -> None:
    system = deploy()
    system.aws["lambda"].update_function_configuration(
        FunctionName=system.outputs["notifyFunction"], Environment={"Variables": {"MODE": "x"}}
    )
    with pytest.raises(StackError, match="If your copy is the older one: git pull."):
        output_of("status", system)


# The command line


@pytest.mark.parametrize(
    ("arguments", "environment", "expected"),
    [
        (["--stack", "demo", "status"], {}, "No demo is running. Start one"),
        (
            ["--stack", "none", "status"],
            {"PATH": "/nowhere"},
            "Pulumi's CLI, version 3, is not installed",
        ),
    ],
)
def test_a_missing_requirement_is_one_clear_line(
    arguments: list[str],
    environment: dict[str, str],
    expected: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("stack.pulumi_cli.BUILT", ROOT / "none")
    monkeypatch.setattr("stack.running_demos.RECORDS", ROOT / "none")  # a demo may run here
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["ops", *arguments])
    with pytest.raises(SystemExit) as caught:
        commands.main()
    assert caught.value.code == 1
    error = capsys.readouterr().err
    assert expected in error
    assert error.count("\n") == 1


def test_a_refusal_of_aws_is_one_clear_line(
    busy: System, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = Stack("test", {**busy.outputs, "notifyFunction": "none"}, busy.aws)
    monkeypatch.setattr(Stack, "open", lambda _: gone)
    monkeypatch.setattr(sys, "argv", ["ops", "smoke"])
    with pytest.raises(SystemExit):
        commands.main()
    assert "AWS refuses GetFunctionConfiguration" in capsys.readouterr().err


def test_missing_credentials_are_one_clear_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], busy: System
) -> None:
    outputs = {**busy.outputs, "alarmTopic": "arn:aws:sns:eu-central-1:1:alarms"}
    monkeypatch.setattr("stack.deployed._outputs", lambda _: outputs)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/nowhere")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setattr(sys, "argv", ["ops", "status"])
    with pytest.raises(SystemExit):
        commands.main()
    assert capsys.readouterr().err.startswith("AWS does not accept your credentials")


def test_help_lists_every_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ops", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for command in commands.COMMANDS:
        assert f"  {command}" in done.stdout
