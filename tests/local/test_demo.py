"""What people run: the demo, and an upload to it."""

import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from local import ROOT, resources
from local.emulator import Emulator
from local.running import NOTE
from local.twilio import SECRET
from tests.local.conftest import SECONDS


def demo(*arguments: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "local", *arguments],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder), **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@contextlib.contextmanager
def nothing_left(folder: Path) -> Iterator[None]:
    """Assert that no process, no folder and no note of the demo is left."""
    yield
    assert list(folder.iterdir()) == []
    assert not NOTE.exists()
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(folder) not in processes.stdout


def test_once_shows_the_text_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with nothing_left(tmp_path):
        process = demo("--once", folder=tmp_path)
        said, _ = process.communicate(timeout=3 * SECONDS)
    assert process.returncode == 0, said
    assert re.search(r"Deployed \d+ resources to an emulator of AWS", said)
    assert "New log app/" in said
    assert "s after the upload" in said
    assert "Warning" not in said
    assert SECRET not in said


def test_a_demo_takes_uploads_until_it_is_stopped(tmp_path: Path) -> None:
    log = tmp_path / "my file.log"
    log.write_text("a line\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    with nothing_left(folder), demo(folder=folder) as process:
        assert process.stdout
        for line in process.stdout:
            if "Ctrl-C" in line:
                break
        upload = demo("upload", str(log), folder=folder)
        said, _ = upload.communicate(timeout=SECONDS)
        assert upload.returncode == 0, said
        assert said.startswith(f"Uploaded {log} to s3://")
        for line in process.stdout:
            if "my file.log" in line:
                break
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read().endswith("Stopped; nothing is left behind.\n")
        assert process.wait(SECONDS) == 0


def test_neither_profiles_nor_proxies_of_this_machine_are_used(tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9"
    with nothing_left(tmp_path):
        process = demo(
            "--once",
            *("--set", "filterPrefix=some/"),
            *("--set", "filterSuffix=.txt"),
            folder=tmp_path,
            AWS_PROFILE="none",
            AWS_CONFIG_FILE=str(ROOT / "README.md"),
            HTTP_PROXY=nowhere,
            http_proxy=nowhere,
        )
        said, _ = process.communicate(timeout=3 * SECONDS)
    assert process.returncode == 0, said
    assert re.search(r"New log some/[-\d]+/web\.txt", said)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--once", "--set", "fromNumber=abc"], "pulumi config set fromNumber +15551234567"),
        (["--once", "--set", "colour=red"], "There is no setting colour."),
        (["--once", "--set", "colour"], "colour is not of the form KEY=VALUE"),
        (["upload", ""], "Which file? make upload FILE=app/web.log"),
        (["upload", "no such file"], "There is no file no such file."),
        (["upload", "README.md"], "No demo is running. Start one in another terminal: make demo"),
    ],
)
def test_a_mistake_is_one_clear_message(tmp_path: Path, arguments: list[str], said: str) -> None:
    with nothing_left(tmp_path):
        process = demo(*arguments, folder=tmp_path)
        output, _ = process.communicate(timeout=2 * SECONDS)
    assert process.returncode != 0
    assert said in output
    assert "Traceback" not in output


def test_another_twilio_that_is_not_there_is_told_with_the_functions_log(tmp_path: Path) -> None:
    with nothing_left(tmp_path):
        process = demo("--once", "--set", "twilioApiUrl=http://127.0.0.1:9", folder=tmp_path)
        output, _ = process.communicate(timeout=3 * SECONDS)
    assert process.returncode == 1
    assert "http://127.0.0.1:9 did not accept the text: no connection to Twilio" in output
    assert '"outcome": "held"' in output


# The mapping to the emulator


def test_an_unknown_type_names_the_file_to_extend(emulator: Emulator) -> None:
    with pytest.raises(resources.ResourceError, match=r"aws:ec2/vpc:Vpc .*resources\.py"):
        resources.create(emulator.aws, "aws:ec2/vpc:Vpc", "network", {})
    with pytest.raises(resources.ResourceError, match=r"getVpc .*resources\.py"):
        resources.invoke(emulator.aws, "aws:ec2/getVpc:getVpc")


def test_a_refusal_names_the_resource_and_none_of_its_inputs(emulator: Emulator) -> None:
    inputs = {
        "name": "f",
        "role": "arn:aws:iam::000000000000:role/none",
        "handler": "a.b",
        "runtime": "cobol",
        "code": str(ROOT / "docs"),
        "environment": {"variables": {"SECRET": "canary"}},
    }
    with pytest.raises(resources.ResourceError) as caught:
        resources.create(emulator.aws, "aws:lambda/function:Function", "notify", inputs)
    assert str(caught.value).startswith("aws:lambda/function:Function notify: ")
    assert "canary" not in str(caught.value)


def test_a_name_is_made_once_and_kept() -> None:
    type_ = "aws:sqs/queue:Queue"
    named = resources.named(type_, "held", {})
    assert re.fullmatch(r"held-[0-9a-f]{7}", named["name"])
    assert resources.named(type_, "held", {}, named) == named
    assert resources.named(type_, "held", {"name": "mine"}) == {"name": "mine"}
