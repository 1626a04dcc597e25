"""The demo and an upload to it, run from the command line."""

import contextlib
import ipaddress
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

import pytest
import yaml

from local.demo import EMULATOR_PORT
from local.deployment import Deployed, UploadError
from local.emulator import Emulator
from local.page.server import PORT
from local.twilio import SECRET
from stack import ROOT
from stack.running_demos import RECORDS
from tests.local.conftest import SECONDS, until

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="it reads Linux's /proc")


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
def started(*arguments: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a demo without a browser. Yield its process after the first text."""
    with shown(*arguments, folder=folder) as (process, _):
        yield process


@contextlib.contextmanager
def shown(*arguments: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a demo without a browser. Yield its process and its output after the first text."""
    with demo("--no-browser", *arguments, folder=folder) as process:
        try:
            yield process, read_until(process, "Ctrl-C")
        finally:
            process.terminate()


def read_to_the_end(process: subprocess.Popen[str]) -> str:
    """Return the output of a process until its end."""
    assert process.stdout
    with killed_in_the_end(process):
        return process.stdout.read()


@contextlib.contextmanager
def killed_in_the_end(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill a process if the context takes longer than any test waits."""
    limit = threading.Timer(SECONDS, process.kill)
    limit.start()
    try:
        yield
    finally:
        limit.cancel()


def read_until(process: subprocess.Popen[str], awaited: str) -> str:
    """Return the output of a process up to the line that contains `awaited`."""
    assert process.stdout
    output = ""
    with killed_in_the_end(process):
        for line in process.stdout:
            output += line
            if awaited in line:
                return output
    raise AssertionError(f"It ended, or took {SECONDS} s, without {awaited!r}:\n{output}")


def operated(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the operator's commands for the demo."""
    return subprocess.run(
        [sys.executable, "-m", "ops", "--stack", "demo", command, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def says(*arguments: str, folder: Path, code: int = 0) -> str:
    """Run a command to its end. Return its output."""
    process = demo(*arguments, folder=folder)
    output, _ = process.communicate(timeout=3 * SECONDS)
    assert process.returncode == code, output
    assert "Traceback" not in output
    return output


@contextlib.contextmanager
def nothing_left(folder: Path) -> Iterator[None]:
    """Assert that no process, folder or record of the demo is left."""
    notes = set(RECORDS.glob("*"))
    yield
    assert list(folder.iterdir()) == []
    assert set(RECORDS.glob("*")) <= notes
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    assert str(folder) not in processes.stdout


def test_once_shows_the_text_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with nothing_left(tmp_path):
        process = demo("--once", folder=tmp_path)
        output, _ = process.communicate(timeout=3 * SECONDS)
    assert process.returncode == 0, output
    assert re.search(r"Deployed \d+ resources to an emulator of AWS", output)
    assert "New log app/" in output
    assert "s after the upload" in output
    assert "Warning" not in output
    assert SECRET not in output


def without_figures(output: str) -> str:
    """Remove the figures, date, bucket, port and line breaks of one run."""
    output = re.sub(r"^Another program has port .*\n", "", output, flags=re.MULTILINE)
    output = re.sub(r"\d+ [A-Z][a-z]{2} \d\d:\d\d", "DATE", output)
    output = re.sub(r"logs-[0-9a-f]{7}\b|:\d{4,5}$", "", output, flags=re.MULTILINE)
    return re.sub(r"[\s│]+", " ", re.sub(r"\b\d+(\.\d+)?\b", "0", output)).strip()


def test_a_demo_prints_what_the_readme_shows_and_takes_uploads_until_it_is_stopped(
    tmp_path: Path,
) -> None:
    log = tmp_path / "my file.log"
    log.write_text("ERROR: one\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    readme = (ROOT / "README.md").read_text().partition("\n$ make demo\n")[2].partition("```")[0]
    with nothing_left(folder), shown(folder=folder) as (process, output):
        assert without_figures(output).endswith(without_figures(readme))
        answer = says("upload", str(log), folder=folder)
        assert re.fullmatch(rf"Uploaded {re.escape(str(log))} to s3://\S+/my file\.log\n", answer)
        read_until(process, "my file.log")
        answer = says("upload", str(log), "--key=payments/it's 1.log", folder=folder)
        assert answer.endswith("/payments/it's 1.log\n")
        read_until(process, "payments/it's 1.log")
        process.send_signal(signal.SIGTERM)
        assert read_to_the_end(process).endswith("Stopped; nothing is left behind.\n")
        assert process.wait(SECONDS) == 0


def test_the_key_of_an_upload_decides_which_of_two_phones_is_texted(tmp_path: Path) -> None:
    log = tmp_path / "db.log"
    log.write_text("ERROR: one\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    with nothing_left(folder), demo("--no-browser", folder=folder) as process:
        output = read_until(process, "Ctrl-C")
        assert "┌ +15005550100 on-call " in output
        says("upload", str(log), "--key=backup/db.log", folder=folder)
        output = read_until(process, "New log backup/db.log")
        assert "┌ +15005550101 backup " in output
        assert "on-call" not in output
        explained = operated("explain", "--key=backup/db.log").stdout
        assert re.search(r"│ on-call +│ no +│ except \*backup/\* +│ …0100", explained), explained
        assert re.search(r"│ backup +│ yes +│ \*backup/\* +│ …0101", explained)
        assert "New log backup/db.log, 1.2 kB" in explained
        assert "…0101        sent now: " in explained
        assert "\n…0100" not in explained
        process.terminate()


def test_the_on_call_phone_is_texted_about_logs_with_an_error_in_them(tmp_path: Path) -> None:
    fine, wrong = tmp_path / "fine.log", tmp_path / "wrong.log"
    fine.write_text("GET / 200\n")
    wrong.write_text("GET / 200\nERROR: payment refused, password=hunter2\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    with nothing_left(folder), started(folder=folder) as process:
        output = says("upload", str(fine), "--key=fine.log", folder=folder)
        assert output.splitlines()[1:] == ["Nobody is texted about it: no line has ERROR."]
        assert len(says("upload", str(wrong), "--key=wrong.log", folder=folder).splitlines()) == 1
        output = read_until(process, "password=***")
        assert "fine.log" not in output
        assert "hunter2" not in output


def test_routes_may_be_set_as_json(tmp_path: Path) -> None:
    routes = '[{"name": "all", "logs": "*.log", "toNumbers": "+15005550142", "message": "Look!"}]'
    with nothing_left(tmp_path):
        output = says("--once", "--set", f"routes={routes}", folder=tmp_path)
    assert "┌ +15005550142 all " in output
    assert "│ Look!" in output


def test_a_key_that_matches_no_route_is_reported_at_once(tmp_path: Path) -> None:
    routes = '[{"name": "other", "logs": "other/*.log", "toNumbers": "+15005550142"}]'
    with nothing_left(tmp_path):
        output = says("--once", "--set", f"routes={routes}", folder=tmp_path, code=1)
    assert output.endswith(
        "Nobody is texted about it: the key matches no route, and toNumbers is empty.\n"
    )


def test_an_upload_that_the_filters_exclude_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ERROR: one\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    filters = ("--set", "filterPrefix=app/", "--set", "filterSuffix=.log,.log.gz")
    with nothing_left(folder), started(*filters, folder=folder):
        output = says("upload", str(tmp_path / "a.txt"), folder=folder)
        assert output.splitlines()[1:] == [
            "Nobody is texted about it: "
            "the key does not begin with app/ and does not end with .log or .log.gz."
        ]


def test_the_name_of_a_file_does_not_control_the_terminal(tmp_path: Path) -> None:
    log = tmp_path / "clear\x1b[2J\nUploaded forged.log"
    log.write_text("ERROR: one\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    with nothing_left(folder), started(folder=folder) as process:
        output = says("upload", str(log), folder=folder)
        assert output.count("\n") == 1
        output += read_until(process, "└")
        assert "clear" in output
        assert "\x1b" not in output
        assert "\nUploaded forged" not in output
    assert "\x1b" not in says("upload", "\x1b[2J", folder=folder, code=1)


def test_a_terminal_without_unicode_shows_escapes(tmp_path: Path) -> None:
    with nothing_left(tmp_path):
        process = demo("upload", "no such \N{SNOWMAN}", folder=tmp_path, PYTHONIOENCODING="ascii")
        output, _ = process.communicate(timeout=SECONDS)
    assert output == "There is no file no such \\u2603.\n"


def test_an_upload_that_s3_rejects_is_refused(emulator: Emulator) -> None:
    deployed = Deployed(emulator.aws, {"bucket": "none", "logKeys": "*.log"})
    with pytest.raises(UploadError, match=r"1,026 bytes in UTF-8, and S3 accepts 1,024 at most"):
        deployed.upload(511 * "ü" + ".log")
    with pytest.raises(UploadError, match="is not UTF-8"):
        deployed.upload("\udcff.log")
    with pytest.raises(UploadError, match="S3 refuses the file: "):
        deployed.upload("a.log")


def test_of_two_demos_the_commands_act_on_the_newest(tmp_path: Path) -> None:
    log = tmp_path / "one.log"
    log.write_text("ERROR: one\n")
    folder = tmp_path / "folder"
    folder.mkdir()
    with nothing_left(folder), started(folder=folder) as first:
        with started(folder=folder) as second:
            output = says("upload", str(log), folder=folder)
            assert "2 demos are running. It went to the one that was started last." in output
            read_until(second, "one.log")
            status = operated("status")
            assert status.stdout.startswith(
                "2 demos are running. This is the one that was started last.\n"
            ), status.stderr
        output = says("upload", str(log.rename(tmp_path / "two.log")), folder=folder)
        assert output.count("\n") == 1
        read_until(first, "two.log")


def test_a_demo_says_that_another_program_has_the_port_of_its_page(tmp_path: Path) -> None:
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError):  # another program may have it already
            stack.enter_context(socket.create_server(("127.0.0.1", PORT)))
        process = stack.enter_context(demo("--no-browser", folder=tmp_path))
        stack.callback(process.terminate)
        said = read_until(process, "The phone: ")
    assert f"Another program has port {PORT}, so the page has another port." in said
    assert not said.rstrip().endswith(f":{PORT}")


@LINUX
def test_a_killed_demo_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    with started(folder=tmp_path) as process:
        family = descendants(process.pid)
        lambdas = [pid for pid in family if "ministack-lambda" in command(pid)]
        assert lambdas, [command(pid) for pid in family]
        process.kill()
        until(lambda: not any(map(command, family)), "the end of all processes")
        until(lambda: not list(tmp_path.iterdir()), "the end of the folder")
    assert "No demo is running." in says("upload", "README.md", folder=tmp_path, code=1)
    assert not (RECORDS / f"{process.pid}.json").exists()
    status = operated("status")
    assert status.stderr == "No demo is running. Start one in another terminal: make demo\n"


@LINUX
def test_the_emulators_mqtt_port_is_closed() -> None:
    """Another emulator may have the default port, so the test chooses a free one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    with Emulator(options={"IOT_MTLS_PORT": port}) as running:
        until(lambda: is_ready(running.url), "all that it listens at")
        assert set(sockets(descendants(os.getpid()))) == {"127.0.0.1"}


def is_ready(url: str) -> bool:
    """Return whether an emulator has opened all its ports."""
    try:
        with urllib.request.urlopen(f"{url}/_ministack/ready", timeout=SECONDS) as answer:
            return bool(answer.status == HTTPStatus.OK)
    except urllib.error.HTTPError:
        return False


@LINUX
def test_nothing_listens_beyond_this_machine(tmp_path: Path) -> None:
    with nothing_left(tmp_path), started(folder=tmp_path) as process:
        listening = sockets([process.pid, *descendants(process.pid)])
    assert len(listening) >= 3, listening  # the emulator, the stand-in for Twilio, the page
    assert not [address for address in listening if not ipaddress.ip_address(address).is_loopback]


def descendants(parent: int) -> list[int]:
    """Return the ids of a process's children and of their descendants."""
    found = []
    for status in Path("/proc").glob("[0-9]*/status"):
        with contextlib.suppress(OSError):
            if f"\nPPid:\t{parent}\n" in status.read_text():
                child = int(status.parent.name)
                found += [child, *descendants(child)]
    return found


def command(pid: int) -> str:
    """Return the command line of a process, or "" if it has ended."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    return ""


def sockets(processes: list[int]) -> list[str]:
    """Return the addresses at which processes listen or receive datagrams."""
    theirs = set()
    for pid in processes:
        for file in Path(f"/proc/{pid}/fd").glob("*"):
            with contextlib.suppress(OSError):
                theirs.add(str(file.readlink()))
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            listens = table.startswith("udp") or state == "0A"
            if listens and f"socket:[{inode}]" in theirs:
                words = re.findall("." * 8, local.partition(":")[0])
                # The kernel writes each word of an address in the machine's byte order.
                raw = b"".join(int(word, 16).to_bytes(4, sys.byteorder) for word in words)
                found.append(str(ipaddress.ip_address(raw)))
    return found


@pytest.mark.parametrize(
    "command", ["local", "local upload README.md", "local storm", "ops --stack demo status"]
)
def test_ctrl_c_in_the_first_second_prints_no_traceback(command: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-v", "-m", *command.split()],  # -v prints each import
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        read_until(process, "import 'boto3'")
        process.send_signal(signal.SIGINT)
        output = read_to_the_end(process)
    assert "Traceback" not in output
    assert ("Stopped; nothing is left behind." in output) == command.startswith("local")


def test_a_wrong_secret_is_reported_at_once(tmp_path: Path) -> None:
    with nothing_left(tmp_path):
        output = says("--once", "--set", "twilioSecret=x", folder=tmp_path, code=1)
        assert re.search(r"Held for …0100: wrong credentials.* \(Twilio's code 20003\)\.", output)
        assert "No text comes." in output


def test_a_held_text_is_reported_and_arrives_with_the_flush(tmp_path: Path) -> None:
    arguments = ("--no-browser", "--set", "mode=digest")
    with nothing_left(tmp_path), demo(*arguments, folder=tmp_path) as process:
        output = read_until(process, "Held for …0100: digest. Flush runs every 1 min.\n")
        assert "New log" not in output
        flushed = operated("flush")  # the demo's own flush comes within a minute
        assert flushed.returncode == 0, flushed.stderr
        read_until(process, "New log app/")
        process.terminate()


def test_one_phone_without_a_text_stops_no_other(tmp_path: Path) -> None:
    phones = "toNumbers=+15005550004,+15005550100"
    with nothing_left(tmp_path):
        output = says("--once", "--set", phones, folder=tmp_path)
    assert "┌ +15005550100" in output


def test_an_existing_bucket_is_made_in_the_emulator(tmp_path: Path) -> None:
    with nothing_left(tmp_path):
        output = says("--once", "--set", "existingBucket=their-logs", folder=tmp_path)
    assert "Made the bucket their-logs in the emulator, with EventBridge on." in output
    assert "New log app/" in output


def is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def test_the_emulator_alone_listens_where_the_stack_local_expects_it(tmp_path: Path) -> None:
    expected = yaml.safe_load((ROOT / "Pulumi.local.yaml").read_text())["config"]
    (endpoints,) = expected["aws:endpoints"]
    assert set(endpoints.values()) == {f"http://127.0.0.1:{EMULATOR_PORT}"}
    if not is_free(EMULATOR_PORT) and not os.environ.get("CI"):
        pytest.skip(f"Another program listens at port {EMULATOR_PORT}, such as make emulator.")
    with nothing_left(tmp_path), demo("emulator", folder=tmp_path) as process:
        try:
            output = read_until(process, "Ctrl-C")
            assert f"AWS is emulated at http://127.0.0.1:{EMULATOR_PORT}" in output
            if sys.platform == "linux":
                assert set(sockets([process.pid, *descendants(process.pid)])) == {"127.0.0.1"}
            again = says("emulator", folder=tmp_path, code=1)
            assert f"Port {EMULATOR_PORT} of 127.0.0.1 is in use." in again
        finally:
            process.send_signal(signal.SIGINT)
        assert read_to_the_end(process).endswith("Stopped; nothing is left behind.\n")


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
        output, _ = process.communicate(timeout=3 * SECONDS)
    assert process.returncode == 0, output
    assert re.search(r"New log some/[-\d]+/web\.txt", output)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--once", "--set", "fromNumber=15005550106"],
            "pulumi config set --stack demo fromNumber\n",
        ),
        (["--once", "--set", "colour=red"], "colour: is no setting"),
        (["--once", "--set", "colour"], "colour is not of the form KEY=VALUE"),
        (["upload", ""], "Which file? make upload FILE=app/web.log"),
        (["upload", "docs"], "docs is a directory. Upload a file in it: make upload FILE=docs/"),
        (["--once", "--set", "existingBucket=a_b"], "is not a bucket's name"),
        (["upload", "no such file"], "There is no file no such file."),
        (["upload", "README.md"], "No demo is running. Start one in another terminal: make demo"),
    ],
)
def test_a_mistake_is_one_clear_message(
    tmp_path: Path, arguments: list[str], expected: str
) -> None:
    with nothing_left(tmp_path):
        process = demo(*arguments, folder=tmp_path)
        output, _ = process.communicate(timeout=2 * SECONDS)
    assert process.returncode != 0
    assert expected in output
    assert "Traceback" not in output


def test_an_unreachable_twilio_is_reported_with_the_functions_log(tmp_path: Path) -> None:
    with nothing_left(tmp_path):
        process = demo("--once", "--set", "twilioApiUrl=http://127.0.0.1:9", folder=tmp_path)
        output, _ = process.communicate(timeout=3 * SECONDS)
    assert process.returncode == 1
    assert "Held for …0100: no connection to Twilio." in output
    assert '"outcome": "held"' in output
