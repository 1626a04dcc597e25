"""The effects of `pulumi up`: the actual program, run by Pulumi's own engine on the emulator.

The tests of one class run in order on one stack, like the steps of a user.
"""

import contextlib
import dataclasses
import http.client
import json
import os
import re
import shlex
import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from pulumi import automation
from pulumi.automation.errors import CommandError

from local import engine
from local.emulator import Emulator
from local.twilio import ACCOUNT_SID, StandIn
from simulation.http_server import Answer, Request, Server
from stack import ROOT
from stack.deployed import Stack, StackError
from stack.pulumi_cli import find_cli
from tests.guides import route_commands, routes_of, section
from tests.local.conftest import SECONDS

README = section((ROOT / "README.md").read_text(), "## Text the right phone")
SECRET = "canary-secret-of-the-engine"
PHONE, OTHER_PHONE = "+15005550142", "+15005550143"
ALARM = "aws:cloudwatch/metricAlarm:MetricAlarm"
DASHBOARD = {"aws:cloudwatch/dashboard:Dashboard s3-logs-engine"}
FUNCTIONS = {"aws:lambda/function:Function notify", "aws:lambda/function:Function flush"}


@dataclasses.dataclass
class System:
    """A stack, its emulator of AWS, and the stand-in for Twilio."""

    stack: automation.Stack
    emulator: Emulator
    twilio: StandIn
    events: list[str] = dataclasses.field(default_factory=list)

    def up(self) -> dict[str, set[str]]:
        """Run `pulumi up`. Return the changed resources by operation."""
        steps: list[Any] = []
        self.stack.up(on_event=steps.append)
        return self._done(steps)

    def preview(self) -> dict[str, set[str]]:
        """Run `pulumi preview`. Return the resources that `up` would change, by operation."""
        steps: list[Any] = []
        self.stack.preview(on_event=steps.append)
        return self._done(steps)

    def pulumi(self, *command: str) -> None:
        """Run a command of the CLI in the project's folder, as a user would."""
        workspace = self.stack.workspace
        subprocess.run(
            [find_cli(), *command],
            cwd=workspace.work_dir,
            env={
                **os.environ,
                **workspace.env_vars,
                "PULUMI_HOME": workspace.pulumi_home or "",
            },
            check=True,
            capture_output=True,
            text=True,
        )

    @property
    def file(self) -> Path:
        """The stack's file, with its settings."""
        return Path(self.stack.workspace.work_dir) / f"Pulumi.{engine.STACK}.yaml"

    def upload(self, key: str) -> None:
        """Put a log into the stack's bucket."""
        bucket = self.stack.outputs()["bucket"].value
        self.emulator.aws["s3"].put_object(Bucket=bucket, Key=key, Body=b"a line")

    def configure(self, **settings: str) -> None:
        engine.configure(self.stack, settings)

    def _done(self, steps: list[Any]) -> dict[str, set[str]]:
        self.events += [str(step.__dict__) for step in steps]
        done = defaultdict(set)
        for step in steps:
            event = step.resource_pre_event
            if event and event.metadata.op != automation.OpType.SAME:
                urn = event.metadata.urn.split("::")
                done[event.metadata.op.value].add(f"{urn[2].split('$')[-1]} {urn[3]}")
        return dict(done)


@contextlib.contextmanager
def deployed(
    emulator: Emulator,
    *,
    url: str = "",
    body: Callable[[], None] | None = None,
    **settings: str,
) -> Iterator[System]:
    """Yield a stack with a test's settings. Nothing is deployed yet."""
    with (
        StandIn(credentials={ACCOUNT_SID: SECRET}) as twilio,
        engine.stack(
            url or emulator.url,
            {
                **twilio.settings,
                "toNumbers": PHONE,
                **settings,
            },
            body=body,
        ) as stack,
    ):
        yield System(stack, emulator, twilio)


def left(emulator: Emulator) -> list[str]:
    """Return the names or ARNs of the resources in the emulator."""
    aws = emulator.aws
    return [
        *(one["Name"] for one in aws["s3"].list_buckets()["Buckets"]),
        *(one["FunctionName"] for one in aws["lambda"].list_functions()["Functions"]),
        *aws["sqs"].list_queues().get("QueueUrls", []),
        *aws["dynamodb"].list_tables()["TableNames"],
        *(one["RoleName"] for one in aws["iam"].list_roles()["Roles"]),
        *(one["logGroupName"] for one in aws["logs"].describe_log_groups()["logGroups"]),
        *(one["Name"] for one in aws["scheduler"].list_schedules()["Schedules"]),
        *(one["TopicArn"] for one in aws["sns"].list_topics()["Topics"]),
        *(one["AlarmName"] for one in aws["cloudwatch"].describe_alarms()["MetricAlarms"]),
        *(one["DashboardName"] for one in aws["cloudwatch"].list_dashboards()["DashboardEntries"]),
    ]


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture(scope="module")
def system(emulator: Emulator) -> Iterator[System]:
    with deployed(emulator) as system:
        yield system


class TestTheLifeOfAStack:
    def test_a_preview_of_an_empty_stack_creates_nothing(self, system: System) -> None:
        planned = system.preview()
        assert set(planned) == {"create"}
        assert planned["create"] >= FUNCTIONS | {"aws:s3/bucket:Bucket logs"}
        assert left(system.emulator) == []

    def test_up_creates_the_stack_and_a_log_is_texted(self, system: System) -> None:
        planned = system.preview()
        assert system.up() == planned
        system.upload("app/web.log")
        (text,) = system.twilio.wait_for(1, seconds=SECONDS)
        assert text.body.startswith("New log app/web.log, ")

    def test_the_operators_commands_find_the_stack_by_pulumis_cli(
        self, system: System, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for name, value in system.stack.workspace.env_vars.items():
            monkeypatch.setenv(name, value)
        found = Stack.open(engine.STACK)
        assert found.outputs["bucket"] == system.stack.outputs()["bucket"].value
        with pytest.raises(StackError, match="has no stack none"):
            Stack.open("none")

    def test_up_again_changes_nothing(self, system: System) -> None:
        assert system.preview() == {}
        assert system.up() == {}

    def test_neither_state_nor_events_hold_a_secret_in_plain_text(self, system: System) -> None:
        state = engine.state_of(system.stack)
        assert "handler.notify" in state
        for hidden in (SECRET, PHONE):
            assert hidden not in state
            assert hidden not in "".join(system.events)

    def test_a_new_secret_changes_the_two_functions_only(self, system: System) -> None:
        system.configure(twilioSecret="another-canary")
        assert system.up() == {"update": FUNCTIONS}
        system.configure(twilioSecret=SECRET)
        system.up()

    @pytest.mark.parametrize(
        ("settings", "changed"),
        [
            ({"toNumbers": f"{PHONE},{OTHER_PHONE}"}, FUNCTIONS),
            ({"quietHours": "22:00-07:00"}, FUNCTIONS),
            ({"mode": "digest"}, FUNCTIONS),
            ({"filterSuffix": ".txt"}, {"aws:s3/bucketNotification:BucketNotification logs"}),
            (
                {"flushMinutes": "7"},
                FUNCTIONS
                | {
                    "aws:scheduler/schedule:Schedule flush",
                    f"{ALARM} s3-logs-engine-flush-errors",
                    f"{ALARM} s3-logs-engine-flush-missing",
                    f"{ALARM} s3-logs-engine-held-too-old",
                    f"{ALARM} s3-logs-engine-settings-refused",
                },
            ),
            (
                {"maxSegmentsPerDay": "7"},
                DASHBOARD | {f"{ALARM} s3-logs-engine-segments"},
            ),
            (
                {"expireLogsAfterDays": "9"},
                {"aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration logs"},
            ),
        ],
        ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
    )
    def test_a_setting_updates_only_its_own_resources_and_replaces_none(
        self, system: System, settings: dict[str, str], changed: set[str]
    ) -> None:
        system.configure(**settings)
        assert system.up() == {"update": changed}

    def test_several_suffixes_update_the_notification_and_each_is_texted(
        self, system: System
    ) -> None:
        system.configure(mode="instant", quietHours="", toNumbers=PHONE)
        system.up()
        system.configure(filterSuffix=".log,.log.gz")
        notification = {"aws:s3/bucketNotification:BucketNotification logs"}
        assert system.up() == {"update": notification}
        before = len(system.twilio.texts)
        for key in ("several/a.log.gz", "several/a.txt", "several/a.log"):
            system.upload(key)
        texts = system.twilio.wait_for(before + 2, seconds=SECONDS)[before:]
        assert {text.body.split(",")[0] for text in texts} == {
            "New log several/a.log",
            "New log several/a.log.gz",
        }

    def test_the_commands_of_the_readme_set_routes_and_a_route_texts_its_phones(
        self, system: System
    ) -> None:
        for command in route_commands(README):
            system.pulumi(*command[1:])
        before = len(system.twilio.texts)
        assert system.up() == {"update": FUNCTIONS | DASHBOARD}
        for key in ("payments/2026/a.log", "other/a.log"):
            system.upload(key)
        texts = system.twilio.wait_for(before + 3, seconds=SECONDS)[before:]
        payments, _ = routes_of(README)
        assert {(text.body.split(",")[0], text.to) for text in texts} == {
            *(("New log payments/2026/a.log", to) for to in payments["toNumbers"].split(",")),
            ("New log other/a.log", PHONE),
        }

    def test_one_changed_field_of_a_route_updates_the_functions_only(self, system: System) -> None:
        system.pulumi("config", "set", "--path", "routes[0].maxTextsPerHour", "50")
        assert system.up() == {"update": FUNCTIONS}
        assert system.up() == {}

    def test_the_numbers_of_routes_are_in_plain_text_in_neither_state_nor_events(
        self, system: System
    ) -> None:
        numbers = [one for route in routes_of(README) for one in route["toNumbers"].split(",")]
        state = engine.state_of(system.stack)
        assert "handler.notify" in state
        for number in numbers:
            assert number not in state
            assert number not in "".join(system.events)
            assert number not in system.file.read_text()

    def test_a_number_without_secret_loses_its_plus_and_the_remedy_repairs_it(
        self, system: System
    ) -> None:
        before = system.file.read_text()
        system.pulumi("config", "set", "--path", "routes[1].toNumbers", "+15005550144")
        with pytest.raises(CommandError, match=r"routes\[1\]\.toNumbers: …0144 lost") as caught:
            system.preview()
        assert "5550144" not in str(caught.value).replace("…0144", "")
        remedies = re.findall(r"^ +(pulumi config set .*)$", str(caught.value), re.MULTILINE)
        system.pulumi(*shlex.split(remedies[0])[1:], "+15005550144")  # the remedy asks for it
        assert system.up() == {"update": FUNCTIONS}
        system.file.write_text(before)

    def test_the_commands_of_the_guide_set_all_its_fields(self, system: System) -> None:
        system.pulumi("config", "rm", "routes")
        for command in route_commands((ROOT / "docs/routes.md").read_text()):
            system.pulumi(*command[1:])
        assert system.up() == {"update": FUNCTIONS}

    def test_without_routes_all_logs_go_to_the_flat_phones_again(self, system: System) -> None:
        system.pulumi("config", "rm", "routes")
        assert system.up() == {"update": FUNCTIONS | DASHBOARD}
        before = len(system.twilio.texts)
        system.upload("payments/b.log")
        (text,) = system.twilio.wait_for(before + 1, seconds=SECONDS)[before:]
        assert text.to == PHONE

    def test_setting_and_clearing_alarm_email_creates_and_deletes_the_subscription(
        self, system: System
    ) -> None:
        subscription = {"aws:sns/topicSubscription:TopicSubscription s3-logs-engine-alarms"}
        system.configure(alarmEmail="on-call@example.com")
        assert system.up() == {"create": subscription}
        system.configure(alarmEmail="")
        assert system.up() == {"delete": subscription}

    def test_a_bucket_with_a_log_in_it_refuses_to_be_destroyed(self, system: System) -> None:
        with pytest.raises(CommandError, match=r"Bucket logs: BucketNotEmpty"):
            system.stack.destroy()
        bucket = system.stack.outputs()["bucket"].value
        assert "Contents" in system.emulator.aws["s3"].list_objects_v2(Bucket=bucket)

    def test_a_forced_destroy_leaves_nothing(self, system: System) -> None:
        system.configure(forceDestroy="true")
        system.up()
        system.stack.destroy()
        assert left(system.emulator) == []


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"toNumbers": "15005550142"}, "toNumbers: …0142 lacks its plus"),
        ({"fromNumber": ""}, "fromNumber: is not set, and neither is messagingServiceSid."),
        ({"twilioAccountSid": "SK" + "0" * 32}, "but that of an API key"),
        ({"message": "$file"}, 'message: "$file" uses $file, but there are only $name'),
        ({"filterSuffix": "*.log"}, "pulumi config set --stack engine filterSuffix .log"),
        ({"quietHours": "22-7"}, "pulumi config set --stack engine quietHours 22:00-07:00"),
        ({"maxTextPerHour": "10"}, "pulumi config rm --stack engine maxTextPerHour"),
        ({"routes": "none"}, "'routes' must be of type 'array<object>'"),
        ({"flushMinutes": "often"}, "'flushMinutes' must be of type 'integer'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_wrong_setting_is_refused_at_preview(
    emulator: Emulator, settings: dict[str, Any], expected: str
) -> None:
    with deployed(emulator, **settings) as system, pytest.raises(CommandError) as caught:
        system.preview()
    assert expected in str(caught.value)
    assert left(emulator) == []


def test_routes_as_json_are_set_field_by_field_as_the_readme_does(emulator: Emulator) -> None:
    route = {"name": "all", "logs": "*", "toNumbers": OTHER_PHONE, "maxTextsPerHour": 60}
    with deployed(emulator, routes=json.dumps([route, route])) as system:
        system.configure(routes=json.dumps([route]))
        (found,) = yaml.safe_load(system.file.read_text())["config"]["s3-logs:routes"]
        assert found.pop("toNumbers").keys() == {"secure"}
    assert found == {"name": "all", "logs": "*", "maxTextsPerHour": 60}


def test_a_preview_warns_of_phones_in_clear_text(emulator: Emulator) -> None:
    def warnings(system: System) -> list[str]:
        steps: list[Any] = []
        system.stack.preview(on_event=steps.append)
        diagnostics = [step.diagnostic_event for step in steps if step.diagnostic_event]
        return [one.message for one in diagnostics if one.severity == "warning"]

    with deployed(emulator) as system:
        assert not [one for one in warnings(system) if "toNumbers" in one]
        system.stack.set_config("toNumbers", automation.ConfigValue(PHONE))
        (warning,) = (one for one in warnings(system) if "toNumbers" in one)
        assert "pulumi config set --stack engine --secret toNumbers" in warning
        assert PHONE not in warning


def test_a_secret_in_plain_text_is_refused(emulator: Emulator) -> None:
    with deployed(emulator) as system:
        system.stack.set_config("twilioSecret", automation.ConfigValue("plain"))
        with pytest.raises(CommandError, match="'twilioSecret' must be encrypted"):
            system.preview()


def test_a_missing_setting_is_refused(emulator: Emulator) -> None:
    with deployed(emulator) as system:
        system.stack.remove_config("twilioAccountSid")
        with pytest.raises(CommandError, match="twilioAccountSid"):
            system.preview()


def test_a_type_that_the_emulator_does_not_know_names_the_file_to_extend(
    emulator: Emulator,
) -> None:
    def body() -> None:
        import pulumi_aws as aws  # noqa: PLC0415  # imported when the program runs

        aws.ec2.Vpc("network", cidr_block="10.0.0.0/16")

    with (
        deployed(emulator, body=body) as system,
        pytest.raises(CommandError, match=r"aws:ec2/vpc:Vpc .*resources\.py"),
    ):
        system.preview()


def test_adding_and_removing_a_subscription_keeps_the_notification(emulator: Emulator) -> None:
    more = threading.Event()

    def body() -> None:
        defined = engine.run_program()
        if more.is_set():
            defined["logs"].on_object_created("more", defined["notify"].func, filter_suffix=".txt")

    def rules(system: System) -> list[str]:
        found = emulator.aws["s3"].get_bucket_notification_configuration(
            Bucket=system.stack.outputs()["bucket"].value
        )
        return sorted(one["Id"] for one in found["LambdaFunctionConfigurations"])

    notification = {"aws:s3/bucketNotification:BucketNotification logs"}
    permission = {"aws:lambda/permission:Permission more"}
    with deployed(emulator, body=body) as system:
        system.up()
        assert rules(system) == ["notify"]
        more.set()
        assert system.up() == {"create": permission, "update": notification}
        assert rules(system) == ["more", "notify"]
        more.clear()
        assert system.up() == {"delete": permission, "update": notification}
        assert rules(system) == ["notify"]
        system.stack.destroy()
    assert left(emulator) == []


def test_the_next_update_completes_one_that_failed_halfway(emulator: Emulator) -> None:
    with (
        refusing(emulator, r"/functions/flush-\w+/configuration") as (url, refuse),
        deployed(emulator, url=url) as system,
    ):
        system.up()
        system.configure(mode="digest")
        refuse.set()
        with pytest.raises(CommandError, match=r"Function flush: ServiceException: not now"):
            system.up()
        refuse.clear()
        assert system.up().keys() == {"update"}
        assert system.up() == {}
        system.stack.destroy()
    assert left(emulator) == []


@contextlib.contextmanager
def refusing(emulator: Emulator, path: str) -> Iterator[tuple[str, threading.Event]]:
    """Yield the address of a proxy before the emulator, and an event.

    While the event is set, the proxy refuses requests for the path.
    """
    refuse = threading.Event()
    behind = urlsplit(emulator.url)

    def respond(request: Request) -> Answer:
        if refuse.is_set() and re.search(path, request.path):
            return Answer(500, b'{"message": "not now"}', {"x-amzn-errortype": "ServiceException"})
        connection = http.client.HTTPConnection(str(behind.hostname), behind.port)
        with contextlib.closing(connection):
            connection.request(request.method, request.path, request.body, dict(request.headers))
            answer = connection.getresponse()
            headers = {
                name: value
                for name, value in answer.getheaders()
                if name.lower() not in {"transfer-encoding", "content-length", "connection"}
            }
            return Answer(answer.status, answer.read(), headers)

    with Server(respond) as server:
        yield server.url, refuse
