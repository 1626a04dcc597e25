"""The commands in the guides, run by the shell with Pulumi's CLI and an emulator of AWS.

Another test runs `pulumi up`. A stand-in for GitHub's CLI records its calls.
"""

import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.emulator import REGION, Emulator
from local.twilio import ACCOUNT_SID, SECRET
from stack import ROOT
from stack.pulumi_cli import find_cli
from tests.guides import DOCUMENTS, GUIDES, blocks
from tests.unit.recorded import record

DEPLOY = "docs/deploy.md"
BUCKET, FUNCTION = "their-logs", "notify-1a2b3c4"
ACCOUNT = "000000000000"
API_KEY = "SK" + "1" * 32
IN_PLACE_OF = {"AC…": ACCOUNT_SID, "SK…": API_KEY, "eu-central-1": REGION}

AWS = f"""#!/bin/sh
PYTHONPATH='{ROOT}' exec '{sys.executable}' -m tests.aws_cli "$@"
"""
PULUMI = f"""#!/bin/sh
case "$*" in
up|preview|destroy) ;;
"stack output bucket") echo {BUCKET} ;;
"stack output notifyFunction") echo {FUNCTION} ;;
"config set --secret twilioSecret") echo {SECRET} | '{{cli}}' "$@" ;;
*) exec '{{cli}}' "$@" ;;
esac
"""
GH = """#!/bin/sh
echo "$*" >> "$ASKED/gh"
case "$*" in
*"--input -") cat >> "$ASKED/bodies" ;;
"api user --jq .id") echo 123456 ;;
*"--jq .sub_claim_prefix") echo repo:you@123456/s3-logs@789012 ;;
esac
"""


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        aws = running.aws
        aws["s3"].create_bucket(Bucket=BUCKET)
        queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:theirs"
        s3_may = {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": queue,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [s3_may]})
        aws["sqs"].create_queue(QueueName="theirs", Attributes={"Policy": policy})
        theirs = {"QueueArn": queue, "Events": ["s3:ObjectRemoved:*"]}
        aws["s3"].put_bucket_notification_configuration(
            Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": [theirs]}
        )
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        role = aws["iam"].create_role(
            RoleName="notify",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as package:
            package.writestr("handler.py", "")
        aws["lambda"].create_function(
            FunctionName=FUNCTION,
            Role=role["Role"]["Arn"],
            Runtime="python3.13",
            Handler="handler.notify",
            Code={"ZipFile": code.getvalue()},
        )
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a project's folder, with stand-ins for the programs that a guide calls."""
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml", "Pulumi.local.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    (tmp_path / "web.log").write_text("a line\n")
    (tmp_path / "bin").mkdir()
    for name, script in {"aws": AWS, "gh": GH, "pulumi": PULUMI.format(cli=find_cli())}.items():
        (tmp_path / "bin" / name).write_text(script)
        (tmp_path / "bin" / name).chmod(0o755)
    return tmp_path


def run(script: str, folder: Path, emulator: Emulator, **environment: str) -> str:
    """Run a script as a user types it, until a command fails. Return its output."""
    for placeholder, value in IN_PLACE_OF.items():
        script = script.replace(placeholder, value)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "ASKED": str(folder),
            "AWS_ENDPOINT_URL": emulator.url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            **environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def script_of(document: str, *, after_each_block: str = "") -> str:
    """Return the commands of a guide that this file runs."""
    here = [[one.text for one in block if one.run_by == GUIDES] for block in blocks(document)]
    return "\n".join("\n".join([*texts, after_each_block]) for texts in here if texts)


def settings_of(stack: str, folder: Path, emulator: Emulator, **environment: str) -> dict[str, Any]:
    """Return the settings of a stack, decrypted."""
    shown = run(
        f"pulumi config --json --show-secrets --stack {stack}", folder, emulator, **environment
    )
    return {
        key.removeprefix("s3-logs:"): json.dumps(one["objectValue"])
        if "objectValue" in one
        else one["value"]
        for key, one in json.loads(shown).items()
        if key != "aws:region"
    }


def test_the_commands_do_what_the_guides_say(folder: Path, emulator: Emulator) -> None:
    """The commands make valid settings, and upload the README's log."""
    local = {
        "PULUMI_BACKEND_URL": f"file://{folder}",
        "PULUMI_CONFIG_PASSPHRASE": "a passphrase",
    }
    script = [script_of("README.md", after_each_block="pulumi stack select dev")]
    script += [script_of(name) for name in DOCUMENTS if name not in {"README.md", DEPLOY}]
    run("\n".join(script), folder, emulator, **local)
    settings = settings_of("dev", folder, emulator, **local)
    record(settings, stack_name="dev")  # raises for a wrong setting
    assert [route["name"] for route in json.loads(settings["routes"])] == ["payments", "backup"]
    assert settings["expect"] == "Mon-Fri by 06:30"
    assert settings["contains"] == "ERROR, FATAL"
    found = emulator.aws["s3"].get_object(Bucket=BUCKET, Key="app/web.log")
    assert found["Body"].read() == b"a line\n"


def test_the_guide_to_deploying_makes_state_keys_roles_and_variables(
    folder: Path, emulator: Emulator
) -> None:
    aws = emulator.aws
    output = run(script_of(DEPLOY), folder, emulator)
    state = f"pulumi-state-{ACCOUNT}"
    assert aws["s3"].get_bucket_versioning(Bucket=state)["Status"] == "Enabled"
    public = aws["s3"].get_public_access_block(Bucket=state)["PublicAccessBlockConfiguration"]
    assert len(public) == 4
    assert all(public.values())
    keys = {
        one["AliasName"]: one.get("TargetKeyId") for one in aws["kms"].list_aliases()["Aliases"]
    }
    assert keys["alias/pulumi-dev"] != keys["alias/pulumi-prod"]
    for stack in ("dev", "prod"):
        listed = aws["s3"].list_objects_v2(Bucket=state, Prefix=f".pulumi/stacks/s3-logs/{stack}.")
        assert listed["KeyCount"]
        settings = settings_of(stack, folder, emulator)
        assert settings["twilioSecret"] == SECRET
        if stack == "prod":
            record(settings, stack_name=stack)

    for stack in ("dev", "prod", "preview"):
        role = aws["iam"].get_role(RoleName=f"s3-logs-{stack}")["Role"]
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        subject = statement["Condition"]["StringEquals"]["token.actions.githubusercontent.com:sub"]
        assert subject == f"repo:you@123456/s3-logs@789012:environment:{stack}"
    policy = aws["iam"].get_role_policy(RoleName="s3-logs-preview", PolicyName="read-dev")
    assert keys["alias/pulumi-dev"] in str(policy["PolicyDocument"])

    asked = (folder / "gh").read_text().splitlines()
    assert (
        f"variable set AWS_DEPLOY_ROLE --env prod --body arn:aws:iam::{ACCOUNT}:role/s3-logs-prod"
        in asked
    )
    assert "variable set AWS_DEPLOYS --body true" in asked
    bodies = (folder / "bodies").read_text().splitlines()
    dev, prod = map(json.loads, bodies)
    assert dev["reviewers"] is None
    assert prod["reviewers"] == [{"type": "User", "id": 123456}]

    notification = aws["s3"].get_bucket_notification_configuration(Bucket=BUCKET)
    assert notification.keys() >= {"EventBridgeConfiguration", "QueueConfigurations"}
    assert re.search(r"role/notify$", output)
