"""The explanation of a key, on the emulator."""

import contextlib
import io
import json
import re
from collections.abc import Iterator, Sequence

from local.emulator import REGION
from ops import explain as module
from stack.clients import Boto3Clients, Clients
from stack.deployed import Stack
from stack.terminal import Terminal
from tests.local.conftest import PHONE, Deploy, System, leave_time_in_this_hour
from tests.local.operated import output_of

STOPPED = "+15005550004"  # Twilio's magic number of a phone that replied STOP


def test_explain_reads_what_the_deployed_stack_knows_and_sends_nothing(deploy: Deploy) -> None:
    leave_time_in_this_hour()
    system = deploy(toNumbers=f"{PHONE},{STOPPED}", maxTextsPerHour="1", message="See $key ($size)")
    system.upload("app/first.log")
    system.texts(1)
    system.decided("failed")
    shown = output_of("explain", system, "app/next.log")
    for expected in (
        "S3           calls notify\n",
        "  See app/next.log (1.2 kB)\n",
        "…0100        held: over the limit, until the next flush: 1 of 1 this hour, ",
        "…0004        sent now: 0 of 1 this hour, 0 of 5 at once; Twilio refused the last one ",
        "phone (21610: the recipient replied STOP)\n",
    ):
        assert expected in shown, shown
    assert "the key does not end with .log" in output_of("explain", system, "a.txt")
    assert len(system.twilio.texts) == 1
    assert len(system.decided("seen")) == 1


def test_explain_needs_the_permissions_that_it_names_and_no_others(deploy: Deploy) -> None:
    system = deploy()
    named = re.findall(r"`([a-z]+:[A-Za-z]+)`", module.__doc__ or "")
    with user(system, named) as aws:
        shown = explained(system, aws)
    assert "…0100        sent now: 0 of 30 this hour, 0 of 5 at once\n" in shown
    assert "needed" not in shown
    for permission in ("dynamodb:GetItem", "logs:FilterLogEvents"):
        with user(system, [one for one in named if one != permission]) as aws:
            shown = explained(system, aws)
        assert f"needed: {permission}\n" in shown
        assert "…0100        sent now: " in shown


def explained(system: System, aws: Clients) -> str:
    written = io.StringIO()
    terminal = Terminal(written, width=200)
    module.explain(Stack("test", system.outputs, aws), terminal, "app/web.log")
    return written.getvalue()


@contextlib.contextmanager
def user(system: System, actions: Sequence[str]) -> Iterator[Clients]:
    """Yield the AWS clients of a user with these permissions only."""
    iam, name = system.aws["iam"], {"UserName": "operator"}
    statement = {"Effect": "Allow", "Action": actions, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    with contextlib.ExitStack() as cleanup:
        iam.create_user(**name)
        cleanup.callback(iam.delete_user, **name)
        iam.put_user_policy(**name, PolicyName="explain", PolicyDocument=policy)
        cleanup.callback(iam.delete_user_policy, **name, PolicyName="explain")
        key = iam.create_access_key(**name)["AccessKey"]
        cleanup.callback(iam.delete_access_key, **name, AccessKeyId=key["AccessKeyId"])
        credentials = {
            "aws_access_key_id": key["AccessKeyId"],
            "aws_secret_access_key": key["SecretAccessKey"],
        }
        yield Boto3Clients(REGION, emulator=system.emulator.url, credentials=credentials)
