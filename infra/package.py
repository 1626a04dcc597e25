"""The package that goes to Lambda: the handler, its locked dependencies, and their bytecode.

`build` makes it as a directory for `pulumi.FileArchive`, once for each state of its inputs, and
`make package` prints its hash and size. Same inputs, same bytes, on any machine.

It runs inside the program, at every preview, so it imports only the standard library and
returns in milliseconds while nothing has changed.
"""

import contextlib
import hashlib
import importlib.util
import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra import package_rules
from infra.package_rules import RULES, Rule

LAMBDA_PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))
"""The Python versions that Lambda runs and the lock files cover, from its page on runtimes:
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html."""

NOT_IMPORTED = re.compile(r"[^/]+\.(dist-info|data)/|.+\.pyi$|.+/py\.typed$")
"""The parts of a wheel that no code needs: metadata, command-line scripts, files for type checkers.

The licences go with the metadata: deploying to one's own account distributes nothing.
Source: https://packaging.python.org/en/latest/specifications/binary-distribution-format/
"""

CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n", re.DOTALL)
KEPT_BUILDS = 3  # a deployment may still be reading one while the next is built
ABANDONED_AFTER = 3600  # seconds: a folder of unfinished work this old belongs to a killed build
LAMBDA_FOLDER = "/var/task"  # where Lambda puts the package, hence the paths in its tracebacks
TIMESTAMP = 946_684_800  # 2000-01-01 UTC, for every file: archivers may record it


class PackageError(Exception):
    """The package could not be built: the mistake, its place, and the command that fixes it."""


def runtime() -> str:
    """Lambda's name for the Python that runs this program, such as `python3.13`.

    Bytecode loads only in the minor version that compiled it, so the function must have this one.

    Raises:
        PackageError: Lambda does not run this Python.
    """
    version = sys.version_info[:2]
    if version not in LAMBDA_PYTHONS or sys.implementation.name != "cpython":
        oldest, newest = (".".join(map(str, v)) for v in (LAMBDA_PYTHONS[0], LAMBDA_PYTHONS[-1]))
        raise PackageError(
            f"Lambda runs CPython {oldest} to {newest}; this is {sys.implementation.name} "
            f"{version[0]}.{version[1]} ({sys.executable}), whose bytecode does not load there. "
            f"Make the virtual environment anew: make clean; make PYTHON=python{newest} package"
        )
    return f"python{version[0]}.{version[1]}"


def build(folder: Path, *, rules: Sequence[Rule] = RULES, cache: Path | None = None) -> Path:
    """Return the directory to deploy a package from, building it unless its inputs are unchanged.

    It holds the package's Python files, what its `requirements.txt` locks, and the bytecode of
    both. Threads and processes may build at once, and a build may be killed: a directory appears
    in the cache only when it is complete.

    Args:
        folder: The package that a function's handler is in, such as `handler/`.
        rules: The rules for leaving parts of the dependencies out.
        cache: The folder of the results; `.build` beside the package by default.

    Raises:
        PackageError: The package could not be built.
    """
    folder = folder.resolve()
    runtime()
    sources = _sources(folder)
    requirements = folder / "requirements.txt"
    if not requirements.is_file():
        raise PackageError(
            f"{requirements} is missing: it locks what goes to Lambda with {folder.name}. "
            "Write it: make lock"
        )
    inputs = sources | {
        requirements.name: requirements.read_bytes(),
        "built by": Path(__file__).read_bytes() + Path(package_rules.__file__).read_bytes(),
        "rules": repr(rules).encode(),
        "built with": importlib.util.MAGIC_NUMBER,
    }
    cache = cache or folder.parent / ".build"
    built = cache / f"{folder.name}-{_digest(inputs)[:12]}"
    if not built.is_dir():
        sys.stderr.write(
            f"Building what goes to Lambda from {folder} (once until it changes) ...\n"
        )
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=cache) as scratch:
            tree = Path(scratch, "package")
            _unpack(_download(requirements, into=Path(scratch, "wheels")), rules, into=tree)
            if (certifi := tree / "certifi").is_dir():
                split_certificates(certifi / "cacert.pem", certifi)
                (certifi / "cacert.pem").unlink()
            for name, content in sources.items():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                (tree / name).write_bytes(content)
            _compile(tree)
            _normalise(tree)
            try:
                tree.rename(built)
            except OSError:  # another program built the same at the same time
                if not built.is_dir():
                    raise
        _remove_old_builds(cache, folder.name)
    return built


def content_hash(folder: Path) -> str:
    """The SHA-256 of a built package: of the names and contents of all its files."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    return _digest({path.relative_to(folder).as_posix(): path.read_bytes() for path in files})


def split_certificates(bundle: Path, folder: Path) -> None:
    """Write each certificate of a bundle to a file of its own. OpenSSL finds it by its name.

    A connection needs one certificate. To read all of a bundle takes much of a start.

    Args:
        bundle: Certificates in PEM.
        folder: Their folder: a `capath` of `ssl.create_default_context`.
            Source of the names: https://docs.openssl.org/3.0/man1/openssl-rehash/

    Raises:
        PackageError: There is no pyOpenSSL, or no certificate can be found in the bundle.
    """
    try:
        from OpenSSL import crypto  # noqa: PLC0415  # slow, and not needed while nothing changes
    except ImportError:
        raise PackageError(
            f"{sys.executable} has no pyOpenSSL, which names the certificates. "
            "Install what the program needs: pulumi install"
        ) from None
    content = bundle.read_bytes() if bundle.is_file() else b""
    certificates = CERTIFICATE.findall(content)
    if not certificates or len(certificates) != content.count(b"BEGIN CERTIFICATE"):
        raise PackageError(
            f"{bundle.parent.name}/{bundle.name} is no bundle of certificates like that of the "
            "locked certifi. Correct infra.package.split_certificates, or lock that version: "
            "make lock"
        )
    names: Counter[str] = Counter()
    for pem in certificates:
        name = f"{crypto.load_certificate(crypto.FILETYPE_PEM, pem).subject_name_hash():08x}"
        (folder / f"{name}.{names[name]}").write_bytes(pem)
        names[name] += 1


def zipped(folder: Path) -> bytes:
    """Return the archive of a built package that Lambda receives."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(path for path in folder.rglob("*") if path.is_file()):
            archive.write(path, path.relative_to(folder))
    return buffer.getvalue()


def _sources(folder: Path) -> dict[str, bytes]:
    """Return the package's own files, without tests and the hidden files of editors."""
    paths = {path: path.relative_to(folder.parent) for path in folder.rglob("*.py")}
    return {
        name.as_posix(): path.read_bytes()
        for path, name in paths.items()
        if not any(part == "tests" or part.startswith(".") for part in name.parts)
    }


def _digest(contents: Mapping[str, bytes]) -> str:
    digest = hashlib.sha256()
    for name, content in sorted(contents.items()):
        digest.update(f"{name}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _download(requirements: Path, *, into: Path) -> list[Path]:
    """Fetch the locked wheels: only pure Python, which also runs on Lambda's arm64.

    The user's pip settings (index, proxy, certificates) apply.
    """
    pip = _python(
        *("-m", "pip", "download", "-r", requirements, "--dest", into),
        *("--no-deps", "--require-hashes", "--only-binary", ":all:"),
        *("--implementation", "py", "--abi", "none", "--platform", "any"),
        *("--python-version", "{}.{}".format(*sys.version_info)),
        # Only with -vv does pip say why it could not reach an index.
        *("-vv", "--progress-bar", "off", "--no-input", "--disable-pip-version-check"),
    )
    if pip.returncode:
        raise PackageError(_explain_pip(pip.stdout, requirements))
    return sorted(into.glob("*.whl"))


def _explain_pip(output: str, requirements: Path) -> str:
    """Explain pip's output, and say what to do."""
    if "No module named pip" in output:
        return (
            f"{sys.executable} has no pip, which fetches the packages of {requirements}. "
            f"Install it: {sys.executable} -m ensurepip"
        )
    # The lines from "ERROR: ..." to pip's traceback, without the allowed hashes (some packages have
    # over a hundred) and without addresses, which are private.
    errors = output.partition("\nERROR: ")[2].partition("\nException information:")[0]
    lines = [line for line in errors.splitlines() if not line.strip().startswith("Expected")]
    message = re.sub(r"\w+://\S+/|\(from -r .*\)|host='[^']*'", "", "\n  ".join(lines[:6])).rstrip()

    if "DO NOT MATCH THE HASHES" in message:
        return (
            f"A download is not what {requirements} locks, and was refused. Behind a proxy or "
            "mirror, ask who runs it. If the versions changed, lock them anew: make lock"
            f"\n  {message}"
        )
    if "Hashes are required" in message:
        return f"{requirements} lacks hashes. Lock it anew: make lock\n  {message}"
    if re.search(r"Could not fetch URL|ConnectionPool|network-connection", output):
        cause = re.search(
            r"\[(Errno|SSL)[^]]*\] [\w ]+|[\w ]*timed out|\d{3} \w+ Error"
            r"|Tunnel connection failed: [\w ]+",
            output,
        )
        return (
            f"pip could not reach PyPI for the packages of {requirements}"
            f"{f' ({cause[0].strip()})' if cause else ''}. Run the command again when it can, or "
            f"name a mirror: {sys.executable} -m pip config set global.index-url ADDRESS"
        )
    return (
        f"pip could not fetch the packages of {requirements} as pure Python (py3-none-any) wheels. "
        f"Fix the cause, or lock other versions: make lock\n  {message or output[-500:].strip()}"
    )


def _unpack(wheels: Sequence[Path], rules: Sequence[Rule], *, into: Path) -> None:
    """Unpack wheels, without the files that the rules leave out.

    Raises:
        PackageError: Rules do not fit the wheels. It names every one.
    """
    problems = []
    for wheel in wheels:
        dependency, version, *_ = wheel.name.split("-")
        its_rules = [rule for rule in rules if rule.dependency == dependency]
        with zipfile.ZipFile(wheel) as archive:
            files = [name for name in archive.namelist() if not NOT_IMPORTED.match(name)]
            kept, its_problems = package_rules.prune(files, its_rules)
            archive.extractall(into, kept)
        its_problems += package_rules.hollow(into, its_rules)
        problems += [f"{dependency} {version}: {what}" for what in its_problems]
    problems += package_rules.unused(rules, {wheel.name.split("-")[0] for wheel in wheels})
    if problems:
        raise PackageError(
            "Rules of infra/package_rules.py do not fit the locked versions. Check whether a text "
            "needs the changed files, and correct the rules. Or lock the former version: set "
            "it in pyproject.toml, then: make lock\n  " + "\n  ".join(problems)
        )


def _compile(tree: Path) -> None:
    """Compile everything, since Lambda can keep no bytecode: its code folder is read-only.

    `unchecked-hash` makes Lambda load it without a look at the source. The interpreter is a fresh
    one without site packages, so nothing on this machine can change the bytes.
    """
    compileall = _python(
        *("-S", "-m", "compileall", "-q", "-s", tree, "-p", LAMBDA_FOLDER),
        *("--invalidation-mode", "unchecked-hash", tree),
    )
    if compileall.returncode:
        message = compileall.stdout.replace(f"{tree}/", "").strip()
        raise PackageError(f"The package does not compile. Fix it, then: make package\n  {message}")


def _python(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run this Python in a new process that ignores the folder and the PYTHON* variables."""
    return subprocess.run(
        [sys.executable, "-I", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def _normalise(tree: Path) -> None:
    """Give all files the same time and modes under any umask."""
    for path in [tree, *tree.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
        os.utime(path, (TIMESTAMP, TIMESTAMP))


def _remove_old_builds(cache: Path, name: str) -> None:
    """Remove old packages, and the remains of killed builds."""

    def changed(path: Path) -> float:
        return path.stat().st_ctime

    with contextlib.suppress(OSError):  # another program may remove them at the same time
        for old in sorted(cache.glob(f"{name}-*"), key=changed)[:-KEPT_BUILDS]:
            # Renamed first, so that a killed removal leaves no half package under a good name.
            shutil.rmtree(old.rename(cache / f".{old.name}"))
        for abandoned in cache.glob(f".{name}-*"):
            if changed(abandoned) < time.time() - ABANDONED_AFTER:
                shutil.rmtree(abandoned)


def main() -> None:
    """Build the handler's package and print where it is, its hash and its size."""
    try:
        folder = build(Path(__file__).resolve().parent.parent / "handler")
    except PackageError as error:
        sys.exit(str(error))
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    sys.stdout.write(
        f"folder   {folder}\n"
        f"hash     {content_hash(folder)}\n"
        f"on disk  {sum(sizes) / 1e6:.1f} MB in {len(sizes)} files\n"
        f"zipped   {len(zipped(folder)) / 1e6:.2f} MB\n"
    )


if __name__ == "__main__":
    main()
