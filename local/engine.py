"""The program, deployed to the emulator by Pulumi's own engine rather than by its mocks.

The CLI is the one on PATH, or the one that `make pulumi` builds. The program runs in this process,
by Pulumi's Automation API. The CLI checks its settings against the actual Pulumi.yaml.
"""

import contextlib
import json
import os
import runpy
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pulumi import automation

from local import program, provider
from local.emulator import REGION
from stack import ROOT
from stack.pulumi_cli import find_cli

STACK = "engine"


@contextlib.contextmanager
def stack(
    url: str,
    settings: Mapping[str, str],
    *,
    body: Callable[[], None] | None = None,
) -> Iterator[automation.Stack]:
    """Yield a new stack of the program, whose resources go to the emulator at that address.

    All of Pulumi's files, its state included, are in a temporary folder.

    Args:
        url: The emulator's address.
        settings: As `pulumi config set` would set them.
        body: Runs instead of the program.

    Raises:
        stack.pulumi_cli.CliError: Pulumi's CLI is not installed.
    """
    found = find_cli()
    with (
        tempfile.TemporaryDirectory(prefix="s3-logs-") as temporary,
        provider.launcher(url, found.parent) as environment,
        # Engine, program and provider call each other by gRPC, which must use no proxy.
        _environment({**environment, "no_grpc_proxy": "127.0.0.1,localhost"}),
    ):
        folder = Path(temporary)
        for name in ("state", "work"):
            (folder / name).mkdir()
        shutil.copy(ROOT / "Pulumi.yaml", folder / "work")
        made = automation.create_or_select_stack(
            STACK,
            project_name=program.PROJECT["name"],
            program=body or _program,
            work_dir=str(folder / "work"),
            opts=automation.LocalWorkspaceOptions(
                work_dir=str(folder / "work"),
                pulumi_home=str(folder / "home"),
                env_vars={
                    "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
                    "PULUMI_CONFIG_PASSPHRASE": "of this folder only",
                    "PULUMI_SKIP_UPDATE_CHECK": "true",
                },
            ),
        )
        configure(made, {"aws:region": REGION, **settings})
        yield made


def configure(made: automation.Stack, settings: Mapping[str, str]) -> None:
    """Set settings as `pulumi config set` does, the secret ones with `--secret`.

    Routes come as JSON. Each field of a route is set with `--path`, as in README.md.
    """
    fields = _fields_of_routes(settings.get("routes", ""))
    flat = {key: value for key, value in settings.items() if key != "routes" or fields is None}
    made.set_all_config(_config_values(flat))
    if fields is not None:
        made.remove_config("routes")
        made.set_all_config(_config_values(fields), path=True)


def _fields_of_routes(routes: str) -> dict[str, str] | None:
    """Return each field of the routes by its path; None if the JSON is not a list of routes."""
    try:
        listed = json.loads(routes)
        return {
            f"routes[{number}].{field}": str(value)
            for number, route in enumerate(listed)
            for field, value in route.items()
        }
    except (ValueError, TypeError, AttributeError):
        return None


def _config_values(settings: Mapping[str, str]) -> dict[str, automation.ConfigValue]:
    return {
        key: automation.ConfigValue(value, secret=key.rpartition(".")[2] in program.SECRETS)
        for key, value in settings.items()
    }


def state_of(made: automation.Stack) -> str:
    """Return the state as it is on the disk, where secrets must be encrypted."""
    folder = Path(made.workspace.work_dir).parent / "state"
    (found,) = folder.glob(f"**/{STACK}.json")
    return found.read_text()


def run_program() -> dict[str, Any]:
    """Run the actual program. Return its globals."""
    return runpy.run_path(str(program.PROGRAM), run_name="__main__")


def _program() -> None:
    run_program()


@contextlib.contextmanager
def _environment(changes: Mapping[str, str]) -> Iterator[None]:
    """Change this process's environment for a while: the Automation API finds the CLI by PATH."""
    before = {key: os.environ.get(key) for key in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for key, value in before.items():
            if value is None:
                del os.environ[key]
            else:
                os.environ[key] = value
