"""The package for Lambda is reproducible, complete and small; every failed build has a message.

The real package is built once, with pip, into the cache of `make package`. All other tests build
small packages from wheels that they make, without a network.
"""

import base64
import concurrent.futures
import contextlib
import functools
import hashlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import venv
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qs

import certifi
import pytest
import trustme

from infra import package
from infra.package import PackageError, content_hash, zipped
from infra.package_rules import RULES, Prune
from simulation.http_server import Answer, Request, Server

ROOT = Path(__file__).resolve().parents[2]
CACHE_TAG = sys.implementation.cache_tag

build = functools.partial(package.build, rules=())
"""The build of a small package. No rule is about its dependencies."""

BUILD_REAL = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from infra.package import build
print(build(Path(sys.argv[2]), cache=Path(sys.argv[3])))
"""
BUILD = BUILD_REAL.replace("cache=", "rules=(), cache=")


def python(script: str, *arguments: object, **environment: str) -> str:
    """Return the output of a script in its own interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def files(folder: Path) -> set[str]:
    """Return the names of all files in a folder, without bytecode."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


# --- The real package ---------------------------------------------------------------------------


@pytest.fixture(scope="session")
def built() -> Path:
    return package.build(ROOT / "handler")


@pytest.fixture(scope="session")
def bare(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with spoiled sources: only its bytecode runs."""
    folder = tmp_path_factory.mktemp("bare") / "task"
    shutil.copytree(built, folder)
    for source in folder.rglob("*.py"):
        source.write_text("raise SystemExit(f'{__file__} has no bytecode')")
    return folder


def in_lambda(bare: Path, script: str, *arguments: str) -> str:
    """Return the output of a script that has only the package and the standard library."""
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-W", "error", "-c", script, str(bare), *arguments],
        env={},
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def twilio() -> Iterator[tuple[str, list[str]]]:
    """The address of a stand-in for Twilio's Messages API, and a live list of its input."""
    received: list[str] = []
    message = {"sid": "SM" + "0" * 32, "status": "queued", "body": "A log", "to": "+15005550009"}

    def respond(request: Request) -> Answer:
        if request.method == "POST":
            received.append(request.body.decode())
            credentials = request.headers["Authorization"].split()[1]
            received.append(base64.b64decode(credentials).decode())
            return Answer(201, json.dumps(message).encode())
        listed = {"messages": [message], "next_page_uri": None}
        return Answer(
            200, json.dumps(message if "/Messages/SM" in request.path else listed).encode()
        )

    with Server(respond) as server:
        yield server.url, received


SEND_A_TEXT = """
import json, ssl, sys, zoneinfo
sys.path.insert(0, sys.argv[1])
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

class ToTheStandIn(TwilioHttpClient):
    def request(self, method, url, *args, **kwargs):
        url = url.replace("https://api.twilio.com", sys.argv[2])
        return super().request(method, url, *args, **kwargs)

client = Client("SK" + "1" * 32, "secret", "AC" + "2" * 32, http_client=ToTheStandIn(timeout=60))
sent = client.messages.create(to="+15005550009", from_="+15005550006", body="A log ✓")
listed = client.messages.list(limit=5)
fetched = client.messages(sent.sid).fetch()

import certifi
ssl.create_default_context(capath=certifi.where())
zoneinfo.reset_tzpath(())
zoneinfo.ZoneInfo("Europe/Berlin")
print(json.dumps({
    "sids": [sent.sid, listed[0].sid, fetched.sid],
    "imported": {name: getattr(module, "__file__", None) for name, module in sys.modules.items()},
}))
"""


def test_twilios_own_client_sends_from_the_bytecode_of_the_package_and_nothing_else(
    bare: Path, twilio: tuple[str, list[str]]
) -> None:
    address, received = twilio

    seen = json.loads(in_lambda(bare, SEND_A_TEXT, address))

    assert set(seen["sids"]) == {"SM" + "0" * 32}
    assert parse_qs(received[0])["Body"] == ["A log ✓"]
    assert received[1] == "SK" + "1" * 32 + ":secret"
    places = {name: Path(file) for name, file in seen["imported"].items() if file}
    library = Path(os.__file__).resolve().parent
    strangers = {
        name: place
        for name, place in places.items()
        if not place.is_relative_to(bare) and not place.resolve().is_relative_to(library)
    }
    assert not strangers
    assert sum(place.is_relative_to(bare) for place in places.values()) > 60


CALL = """
import sys
sys.path.insert(0, sys.argv[1])
from twilio.rest import Client
try:
    Client("AC" + "2" * 32, "secret").calls.list()
except NotImplementedError as error:
    print(error)
"""


def test_a_resource_that_was_left_out_says_so(bare: Path) -> None:
    assert in_lambda(bare, CALL) == (
        "S3 Logs ships Twilio's Messages only: see infra/package_rules.py\n"
    )


def test_the_package_trusts_the_authorities_of_certifi(built: Path) -> None:
    bundle = package.CERTIFICATE.findall(Path(certifi.where()).read_bytes())
    shipped = [path.read_bytes() for path in (built / "certifi").glob("*.[0-9]")]
    assert len(shipped) > 100
    assert set(shipped) <= set(bundle)  # a machine may have added its own to certifi
    assert not (built / "certifi/cacert.pem").exists()


def test_openssl_finds_each_certificate_by_its_subject(tmp_path: Path) -> None:
    """It finds two with the same subject as well, and reads no others."""
    authorities = [
        trustme.CA(organization_name=name, organization_unit_name="roots")
        for name in ("One", "One", "ÄÖ  Ü GmbH ")
    ]
    bundle = tmp_path / "bundle.pem"
    shutil.copy(certifi.where(), bundle)
    for authority in authorities:
        authority.cert_pem.write_to_path(bundle, append=True)
    folder = tmp_path / "certificates"
    folder.mkdir()
    package.split_certificates(bundle, folder)
    assert len(list(folder.iterdir())) == bundle.read_text().count("BEGIN CERTIFICATE")
    for authority in authorities:
        client = ssl.create_default_context(capath=folder)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("logs.example").configure_cert(server)
        shake_hands(client, server, "logs.example")
        assert 1 <= len(client.get_ca_certs()) <= 2


def test_a_missing_pyopenssl_is_reported_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "OpenSSL", None)
    with pytest.raises(PackageError, match="Install what the program needs: pulumi install"):
        package.split_certificates(Path(certifi.where()), tmp_path)


def shake_hands(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> None:
    """Connect a client and a server in memory, and raise the error of a failed handshake."""
    here, there = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(here, there, server_hostname=name)
    answering = server.wrap_bio(there, here, server_side=True)
    for side in (asking, answering) * 2:
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    assert asking.version()
    assert answering.version()


def test_every_module_of_the_handler_can_be_imported_there(bare: Path) -> None:
    modules = [
        path.relative_to(bare).with_suffix("").as_posix().replace("/", ".")
        for path in (bare / "handler").rglob("*.py")
    ]
    script = "import importlib, sys; sys.path.insert(0, sys.argv[1])\n" + "".join(
        f"importlib.import_module({name.removesuffix('.__init__')!r})\n" for name in modules
    )
    in_lambda(bare, script)
    assert modules


def test_only_the_modules_that_a_text_needs_are_shipped(built: Path) -> None:
    assert {path.name for path in built.iterdir()} == {
        *("handler", "twilio", "requests", "urllib3", "certifi", "idna", "charset_normalizer"),
        *("requests_aws4auth", "tzdata"),
    }
    assert {path.name for path in (built / "twilio/rest").iterdir()} == {
        *("__init__.py", "__pycache__", "api")
    }
    assert not (built / "handler/requirements.txt").exists()
    assert not {name for name in files(built) if name.endswith((".so", ".pyi", "py.typed"))}


def test_every_source_file_has_bytecode_for_lambdas_folder_that_is_never_checked(
    built: Path,
) -> None:
    sources = set(built.rglob("*.py"))
    compiled = {path: path.parent / f"__pycache__/{path.stem}.{CACHE_TAG}.pyc" for path in sources}
    assert set(built.rglob("*.pyc")) == set(compiled.values())
    for source, bytecode in compiled.items():
        content = bytecode.read_bytes()
        # PEP 552: bit 0 means a hash instead of a time, bit 1 that Python checks the source.
        assert int.from_bytes(content[4:8], "little") == 0b01
        assert f"/var/task/{source.relative_to(built).as_posix()}".encode() in content


def test_zipped_it_is_at_most_3_megabytes(built: Path) -> None:
    assert len(zipped(built)) <= 3_000_000


def test_the_same_inputs_give_the_same_bytes_in_another_folder_and_process(
    built: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "a much longer name" / "handler"
    shutil.copytree(ROOT / "handler", elsewhere, ignore=shutil.ignore_patterns("__pycache__"))
    script = "import os; os.umask(0o077)" + BUILD_REAL

    other = Path(python(script, ROOT, elsewhere, tmp_path / "cache", PYTHONHASHSEED="7"))

    assert other.name == built.name
    assert content_hash(other) == content_hash(built)
    assert zipped(other) == zipped(built)  # with times and modes


def test_make_package_prints_folder_hash_and_size(
    built: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    package.main()
    output = capsys.readouterr().out
    assert f"folder   {built}\nhash     {content_hash(built)}\non disk  " in output
    assert f"zipped   {len(zipped(built)) / 1e6:.2f} MB\n" in output


# --- Small packages without a network -----------------------------------------------------------


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder in which pip finds wheels, regardless of this machine's settings."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    folder = tmp_path / "wheels"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def source(tmp_path: Path, wheels: Path) -> Path:
    """The source of the package `tiny`, which has no dependencies."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    (folder / "__init__.py").write_text("ANSWER = 42\n")
    (folder / "requirements.txt").write_text("# nothing\n")
    return folder


@pytest.fixture
def no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip pip, which is slow, for a package without dependencies. Other tests run it."""

    def download(requirements: Path, *, into: Path) -> list[Path]:
        assert not any(line[:1].isalnum() for line in requirements.read_text().splitlines())
        return []

    monkeypatch.setattr(package, "_download", download)


def add_wheel(wheels: Path, name: str, *members: str, tag: str = "py3-none-any") -> str:
    """Make a wheel with these files, and return its line for requirements.txt."""
    wheel = wheels / f"{name}-1.0-{tag}.whl"
    info = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(wheel, "w") as archive:
        for member in members:
            archive.writestr(member, "")
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
        archive.writestr(f"{info}/RECORD", "")
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}\n"


def test_modules_that_are_never_imported_are_left_out(source: Path, wheels: Path) -> None:
    kept = {
        *("twilio/__init__.py", "twilio/rest/__init__.py", "twilio/rest/api/__init__.py"),
        *("twilio/http/http_client.py", "twilio/rest/api/v2010/account/message/media.py"),
        "twilio/credential/credential_provider.py",
    }
    pruned = {
        "twilio/rest/api/v2010/account/call/__init__.py",
        "twilio/rest/api/v2010/account/balance.py",
        *("twilio/rest/voice/__init__.py", "twilio/rest/preview_iam/v1/user.py"),
        *("twilio/jwt/__init__.py", "twilio/twiml/__init__.py", "twilio/request_validator.py"),
        *("twilio/http/async_http_client.py", "twilio/http/validation_client.py"),
        *("twilio/http/token_manager.py", "twilio/http/orgs_token_manager.py"),
        *("twilio/auth_strategy/token_auth_strategy.py", "twilio/py.typed", "twilio/base.pyi"),
        *("twilio/credential/orgs_credential_provider.py", "twilio-1.0.data/scripts/twilio"),
    }
    lock = add_wheel(wheels, "twilio", *kept, *pruned)
    (source / "requirements.txt").write_text(lock)
    rules = [
        rule._replace(expected=sum(rule.matches(name) for name in kept | pruned))
        for rule in RULES
        if isinstance(rule, Prune) and rule.dependency == "twilio"
    ]
    assert all(rule.expected for rule in rules)
    assert files(build(source, rules=rules)) == kept | {"tiny/__init__.py"}


@pytest.mark.usefixtures("no_pip")
def test_a_package_is_its_python_files_without_tests_and_hidden_ones(source: Path) -> None:
    for name in (
        "deep/er.py",
        "tests/test_it.py",
        ".#__init__.py",
        "notes.txt",
        "__pycache__/x.pyc",
    ):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text("")
    assert files(build(source)) == {"tiny/__init__.py", "tiny/deep/er.py"}


def test_unchanged_inputs_are_built_once_and_need_no_other_process(
    source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build(source)
    assert str(source) in capsys.readouterr().err
    monkeypatch.setattr(sys, "executable", "/nowhere")
    assert build(source) == first
    assert not capsys.readouterr().err


@pytest.mark.usefixtures("no_pip")
def test_one_changed_character_gives_another_hash_and_undoing_it_the_first_again(
    source: Path,
) -> None:
    first = build(source)
    before = content_hash(first)
    (source / "__init__.py").write_text("ANSWER = 43\n")
    other = build(source)
    (source / "__init__.py").write_text("ANSWER = 42\n")

    assert other != first
    assert content_hash(other) != before
    assert build(source) == first
    shutil.rmtree(first)
    assert content_hash(build(source)) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda source, _: (source / "requirements.txt").write_text("# nothing else\n"),
        lambda source, _: (source / "__init__.py").rename(source / "another.py"),
        lambda _, patch: patch.setattr("importlib.util.MAGIC_NUMBER", b"3.99"),
    ],
    ids=["locked", "renamed", "another Python"],
)
@pytest.mark.usefixtures("no_pip")
def test_each_input_makes_another_package(
    source: Path, monkeypatch: pytest.MonkeyPatch, change: Callable[..., object]
) -> None:
    first = build(source)
    change(source, monkeypatch)
    assert build(source) != first


@pytest.mark.usefixtures("no_pip")
def test_only_the_last_few_packages_are_kept(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(package, "KEPT_BUILDS", 2)
    made = []
    for answer in range(4):
        (source / "__init__.py").write_text(f"ANSWER = {answer}\n")
        made.append(build(source))
    assert set((source.parent / ".build").iterdir()) == set(made[2:])


def test_threads_and_processes_may_build_at_once(source: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        threads = [pool.submit(build, source, cache=cache) for _ in range(2)]
        processes = [pool.submit(python, BUILD, ROOT, source, cache) for _ in range(2)]
    folder = build(source, cache=cache)
    assert {thread.result() for thread in threads} == {folder}
    assert {process.result() for process in processes} == {str(folder)}
    assert list(cache.iterdir()) == [folder]


@pytest.mark.usefixtures("no_pip")
def test_the_slower_of_two_builds_uses_the_package_of_the_other(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    normalise = package._normalise
    faster: list[tuple[Path, int]] = []

    def slowly(tree: Path) -> None:
        monkeypatch.setattr(package, "_normalise", normalise)
        folder = build(source)
        faster.append((folder, folder.stat().st_ino))
        normalise(tree)

    monkeypatch.setattr(package, "_normalise", slowly)
    folder = build(source)
    assert faster == [(folder, folder.stat().st_ino)]
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.usefixtures("no_pip")
def test_a_package_that_cannot_be_put_in_its_place_is_an_error(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package, "_normalise", shutil.rmtree)
    with pytest.raises(FileNotFoundError):
        build(source)


def test_an_abandoned_folder_of_a_killed_build_is_not_used(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    (source / "requirements.txt").write_text("absent==1.0 --hash=sha256:" + "0" * 64)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # accepts a connection and never answers
        environment = {k: v for k, v in os.environ.items() if k != "PIP_NO_INDEX"}
        environment["PIP_INDEX_URL"] = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        victim = subprocess.Popen(
            [sys.executable, "-c", BUILD, ROOT, source, cache],
            env=environment,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        silent.settimeout(60)
        with silent.accept()[0]:  # pip is running
            os.killpg(victim.pid, signal.SIGKILL)
            victim.wait()
    (abandoned,) = cache.iterdir()
    assert abandoned.name.startswith(".")

    (source / "requirements.txt").write_text("")
    folder = build(source, cache=cache)
    assert files(folder) == {"tiny/__init__.py"}
    assert abandoned.exists()  # its build might still run

    monkeypatch.setattr(package, "ABANDONED_AFTER", -1)
    shutil.rmtree(folder)
    build(source, cache=cache)
    assert list(cache.iterdir()) == [folder]


@pytest.mark.usefixtures("no_pip")
def test_removing_a_build_that_another_process_removed_raises_nothing(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(path: Path) -> None:
        raise FileNotFoundError(path)

    build(source)
    monkeypatch.setattr(package, "KEPT_BUILDS", 0)
    monkeypatch.setattr(shutil, "rmtree", gone)
    package._remove_old_builds(source.parent / ".build", "tiny")


def test_settings_of_pip_for_other_purposes_do_not_matter(
    source: Path, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "requirements.txt").write_text(add_wheel(wheels, "useful", "useful.py"))
    for name in ("TARGET", "PREFIX", "ROOT", "DEST", "SRC"):
        monkeypatch.setenv(f"PIP_{name}", "/nowhere")
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PIP_QUIET", "3")
    monkeypatch.setenv("PIP_NO_BINARY", ":all:")
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setenv("PYTHONOPTIMIZE", "2")
    folder = build(source)
    assert files(folder) == {"tiny/__init__.py", "useful.py"}
    assert (folder / f"__pycache__/useful.{CACHE_TAG}.pyc").exists()


# --- Failed builds ------------------------------------------------------------------------------


def failure(source: Path) -> str:
    """Return the message of a build that must fail and leave no files behind."""
    with pytest.raises(PackageError) as caught:
        build(source)
    message = str(caught.value)
    assert len(message.splitlines()) <= 8
    assert "://" not in message
    assert "Traceback" not in message
    assert not list(source.parent.glob(".build/*"))
    return message


def test_an_unreachable_pypi_is_reported_without_the_password(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (source / "requirements.txt").write_text("absent==1.0 --hash=sha256:" + "0" * 64)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://user:password@127.0.0.1:{port}/")
    monkeypatch.setenv("PIP_RETRIES", "0")
    message = failure(source)
    assert message.startswith(
        f"pip could not reach PyPI for the packages of {source}/requirements.txt"
    )
    assert "Connection refused" in message
    assert f"{sys.executable} -m pip config set global.index-url" in message
    assert "password" not in message


def test_a_download_with_another_hash_is_refused(source: Path, wheels: Path) -> None:
    locked = add_wheel(wheels, "useful", "useful.py").rpartition(":")[0]
    lock = locked + ":" + " --hash=sha256:".join(f"{n:064}" for n in range(150)) + "\n"
    (source / "requirements.txt").write_text(lock)
    message = failure(source)
    assert f"is not what {source}/requirements.txt locks, and was refused" in message
    assert "useful==1.0" in message
    assert "Got" in message
    assert "make lock" in message


def test_a_lock_without_hashes_is_refused(source: Path, wheels: Path) -> None:
    add_wheel(wheels, "useful", "useful.py")
    (source / "requirements.txt").write_text("useful==1.0\n")
    message = failure(source)
    assert message.startswith(f"{source}/requirements.txt lacks hashes. Lock it anew: make lock")
    assert "useful==1.0" in message


def test_a_dependency_for_one_architecture_only_is_refused(source: Path, wheels: Path) -> None:
    version = f"cp3{sys.version_info.minor}"
    lock = add_wheel(wheels, "quick", "quick.so", tag=f"{version}-{version}-linux_x86_64")
    (source / "requirements.txt").write_text(lock)
    message = failure(source)
    assert f"{source}/requirements.txt as pure Python (py3-none-any) wheels" in message
    assert "No matching distribution found for quick==1.0" in message
    assert "make lock" in message


def test_a_missing_lock_is_reported(source: Path) -> None:
    (source / "requirements.txt").unlink()
    message = failure(source)
    assert message.startswith(f"{source}/requirements.txt is missing")
    assert "make lock" in message


def test_a_python_without_pip_is_reported(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    executable = tmp_path / "bare" / "bin" / "python"
    monkeypatch.setattr(sys, "executable", str(executable))
    message = failure(source)
    assert message.startswith(f"{executable} has no pip")
    assert f"{executable} -m ensurepip" in message


@pytest.mark.usefixtures("no_pip")
def test_a_handler_that_does_not_compile_is_reported(source: Path) -> None:
    (source / "__init__.py").write_text("def broken(:\n")
    message = failure(source)
    assert "tiny/__init__.py" in message
    assert "invalid syntax" in message or "expected" in message


def test_a_python_that_lambda_does_not_run_is_refused(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert package.runtime() == "python{}.{}".format(*sys.version_info)
    monkeypatch.setattr(package, "LAMBDA_PYTHONS", ((3, 98), (3, 99)))
    message = failure(source)
    assert message.startswith("Lambda runs CPython 3.98 to 3.99; this is cpython 3.")
    assert "make clean; make PYTHON=python3.99 package" in message
    with pytest.raises(SystemExit, match="Lambda runs CPython"):
        package.main()
