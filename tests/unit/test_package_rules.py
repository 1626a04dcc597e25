"""A rule that no longer fits its dependency fails the build, and says where to look.

The tests make the wheels from the installed versions, which are the locked ones, so they need no
network.
"""

import importlib.metadata
import re
import zipfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import pytest

from infra import package
from infra.package import PackageError
from infra.package_rules import RULES, Hollow, Prune, Rule
from stack import ROOT

Files = dict[str, str]
Check = Callable[..., list[str]]

VERSIONS = {
    rule.dependency: importlib.metadata.version(rule.dependency)
    for rule in sorted(RULES, key=lambda rule: rule.dependency)
}


def installed(dependency: str) -> Files:
    """Return the files in the wheel of a dependency, without compiled ones."""
    return {
        file.as_posix(): Path(file.locate()).read_text("utf-8")
        for file in importlib.metadata.files(dependency) or ()
        if file.parts[0] == dependency and file.suffix not in {".pyc", ".so"}
    }


def pack(folder: Path, dependency: str, version: str, files: Iterable[tuple[str, str]]) -> Path:
    wheel = folder / f"{dependency}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files:
            archive.writestr(name, content)
    return wheel


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The wheel of each dependency that has rules."""
    folder = tmp_path_factory.mktemp("wheels")
    return {
        dependency: pack(folder, dependency, version, installed(dependency).items())
        for dependency, version in VERSIONS.items()
    }


@pytest.fixture
def check(wheels: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Check:
    """A function that builds a package, with replaced wheels, and returns the misfits of rules."""

    def check(*replaced: Path, without: str = "", rules: Iterable[Rule] = RULES) -> list[str]:
        taken = {**wheels, **{wheel.name.split("-")[0]: wheel for wheel in replaced}}
        taken.pop(without, None)
        monkeypatch.setattr(package, "_download", lambda *_, **__: sorted(taken.values()))
        source = tmp_path / "tiny"
        source.mkdir(exist_ok=True)
        (source / "requirements.txt").touch()
        try:
            package.build(source, rules=tuple(rules))
        except PackageError as error:
            message, *wrong = str(error).splitlines()
            assert message.startswith(
                "Rules of infra/package_rules.py do not fit the locked versions."
            )
            assert message.endswith("then: make lock")
            assert not list(tmp_path.glob(".build/*"))
            return [line.strip() for line in wrong]
        return []

    return check


def test_every_rule_fits_the_locked_dependencies(check: Check) -> None:
    assert check() == []


def test_the_dependencies_with_rules_are_locked_in_the_installed_versions() -> None:
    lock = (ROOT / "handler/requirements.txt").read_text()
    for dependency, version in VERSIONS.items():
        assert f"{dependency.replace('_', '-')}=={version} " in lock


def test_an_upgrade_that_brings_a_resource_is_found_by_each_rule_about_resources(
    check: Check, tmp_path: Path
) -> None:
    """The next version of Twilio's client has one resource more, and two imports of it."""
    files = installed("twilio")
    account = "twilio/rest/api/v2010/account/"
    files["twilio/__init__.py"] = files["twilio/__init__.py"].replace('"9", "13"', '"9", "14"')
    files[f"{account}fax.py"] = "class FaxList: ...\n"
    for name in ("twilio/rest/api/__init__.py", f"{account}__init__.py"):
        files[name] = f"from twilio.rest.api.v2010.account.fax import FaxList\n{files[name]}"
    assert check(pack(tmp_path, "twilio", "9.14.0", files.items())) == [
        'twilio 9.14.0: the rule "the other resources of Twilio\'s API" matches 76 files, not 75: '
        f"look at {account}",
        'twilio 9.14.0: the rule "imports of the other resources of Twilio\'s API" matches 24 '
        "times, not 23: look at twilio/rest/api/__init__.py",
        'twilio 9.14.0: the rule "imports of the other resources of an account" matches 24 times, '
        f"not 23: look at {account}__init__.py",
    ]


def test_an_upgrade_that_concerns_no_rule_is_accepted(check: Check, tmp_path: Path) -> None:
    files = installed("twilio")
    files["twilio/__init__.py"] = files["twilio/__init__.py"].replace('"9", "13"', '"9", "14"')
    files["twilio/http/http_client.py"] += "\nNEW = True\n"
    assert check(pack(tmp_path, "twilio", "9.14.0", files.items())) == []


HOLLOWED = [rule for rule in RULES if isinstance(rule, Hollow)]
PRUNED = [rule for rule in RULES if isinstance(rule, Prune)]


def name(rule: Rule) -> str:
    return rule.name


@pytest.mark.parametrize("rule", HOLLOWED, ids=name)
def test_a_changed_text_in_a_file_with_a_rule_is_found(
    check: Check, tmp_path: Path, rule: Hollow
) -> None:
    files = installed(rule.dependency)
    found = re.search(rule.pattern, files[rule.file])
    assert found
    at = found.start() + len(found[0]) // 2
    code = files[rule.file]
    files[rule.file] = code[:at] + "x" + code[at:]
    (message,) = check(pack(tmp_path, rule.dependency, "99", files.items()))
    assert message.startswith(f'{rule.dependency} 99: the rule "{rule.name}" m')
    assert message.endswith(f": look at {rule.file}")


@pytest.mark.parametrize("rule", HOLLOWED, ids=name)
def test_a_file_that_is_gone_or_there_twice_is_found(
    check: Check, tmp_path: Path, rule: Hollow
) -> None:
    files = installed(rule.dependency)
    code = files.pop(rule.file)
    begins = f'{rule.dependency} 99: the rule "{rule.name}" finds'
    ends = f"such files, not one: look at {rule.file}"
    gone = pack(tmp_path, rule.dependency, "99", files.items())
    assert check(gone) == [f"{begins} 0 {ends}"]
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = pack(tmp_path, rule.dependency, "99", [*files.items(), (rule.file, code)] * 2)
    assert f"{begins} 2 {ends}" in check(twice)


@pytest.mark.parametrize("rule", PRUNED, ids=name)
def test_one_file_more_or_less_than_a_rule_expects_is_found(
    check: Check, tmp_path: Path, rule: Prune
) -> None:
    files = installed(rule.dependency)
    matched = next(file for file in files if rule.matches(file) and not file.endswith(".typed"))
    for count, others in (
        (rule.expected - 1, {file: files[file] for file in files if file != matched}),
        (rule.expected + 1, {**files, matched.replace(".py", "_2.py"): ""}),
    ):
        if count == rule.expected + 1 and not rule.matches(matched.replace(".py", "_2.py")):
            continue  # the rule is about this name only
        assert check(pack(tmp_path, rule.dependency, "99", others.items())) == [
            f'{rule.dependency} 99: the rule "{rule.name}" matches {count} files, not '
            f"{rule.expected}: look at {rule.folder}"
        ]


def test_two_rules_about_one_file_are_found(check: Check) -> None:
    again = PRUNED[0]._replace(name="again")
    (message,) = check(rules=[*RULES, again])
    assert (
        'the rule "again" matches a file that another rule matches: look at twilio/rest/' in message
    )


def test_rules_about_a_dependency_that_is_not_locked_are_found(check: Check) -> None:
    assert check(without="requests") == [
        'the rule "old names of urllib3 and idna" matches nothing without requests: '
        "look at handler/requirements.txt"
    ]


def test_a_bundle_of_certificates_that_is_gone_or_of_another_form_is_found(
    wheels: Mapping[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "tiny"
    source.mkdir()
    (source / "requirements.txt").touch()
    files = installed("certifi")
    bundle = "certifi/cacert.pem"
    for other in (
        {name: content for name, content in files.items() if name != bundle},
        {**files, bundle: files[bundle].replace("-----END", "----- END", 1)},
        {**files, bundle: ""},
    ):
        wheel = pack(tmp_path, "certifi", "99", other.items())
        monkeypatch.setattr(package, "_download", lambda *_, wheel=wheel, **__: [wheel])
        with pytest.raises(PackageError, match=r"cacert\.pem is no bundle of certificates"):
            package.build(source, rules=())
