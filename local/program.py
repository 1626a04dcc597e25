"""Running the Pulumi program in this process, without Pulumi's engine."""

import asyncio
import concurrent.futures
import contextlib
import contextvars
import json
import runpy
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml
from pulumi.runtime import mocks, rpc, stack
from pulumi.runtime.config import set_all_config
from pulumi.runtime.settings import SETTINGS, configure

from stack import ROOT

PROGRAM = ROOT / "__main__.py"
PROJECT: dict[str, Any] = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())

SECRETS = frozenset({"twilioSecret", "toNumbers", "routes"})
"""The settings that README.md sets with `--secret`; `routes`, because some of its fields are."""


class Monitor(mocks.MockMonitor):
    """Pulumi's mock of its engine, which keeps the stack's outputs as well."""

    def __init__(self, makers: mocks.Mocks) -> None:
        super().__init__(makers)
        self.outputs: dict[str, Any] = {}

    def RegisterResourceOutputs(self, request: Any) -> Any:  # noqa: N802  # gRPC's name
        """Keep what the program exports."""
        if request.urn.split("::")[2] == "pulumi:pulumi:Stack":
            self.outputs = rpc.deserialize_properties(request.outputs)
        return super().RegisterResourceOutputs(request)  # type: ignore[no-untyped-call]  # Pulumi's mocks have no types


def config_of(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the configuration of a stack with these settings, as the CLI would pass it on.

    A setting belongs to the project's namespace (`toNumbers`) unless it names another one
    (`aws:region`). The defaults come from Pulumi.yaml.
    """
    defaults = {
        key: setting["default"]
        for key, setting in PROJECT["config"].items()
        if "default" in setting
    }
    return {
        key if ":" in key else f"{PROJECT['name']}:{key}": _as_text(value)
        for key, value in {**defaults, **settings}.items()
    }


def run(
    monitor: Monitor,
    settings: Mapping[str, str],
    *,
    stack_name: str,
    program: Path = PROGRAM,
    secrets: Collection[str] = SECRETS,
) -> dict[str, Any]:
    """Run the program once. The mocks of the monitor make its resources.

    Args:
        monitor: Takes the place of Pulumi's engine.
        settings: As `pulumi config set` would set them.
        stack_name: The stack's name.
        program: The program's file.
        secrets: The settings that are encrypted in the stack's file.

    Returns:
        The stack's outputs, by name.

    Raises:
        pulumi.RunError: The program refuses its settings.
    """
    config = config_of(settings)
    encrypted = [f"{PROJECT['name']}:{key}" for key in secrets]

    def isolated() -> None:
        set_all_config(config, encrypted)
        configure(
            mocks.MockSettings(
                monitor=monitor,
                monitor_features=set(monitor.GetDeploymentInfo(None).supportedFeatures),  # type: ignore[no-untyped-call]  # Pulumi's mocks have no types
                engine=mocks.MockEngine(None),
                project=PROJECT["name"],
                stack=stack_name,
                dry_run=False,
                organization=None,
                callbacks=None,
            )
        )
        # A failed run leaves tasks of a closed event loop behind.
        SETTINGS.rpc_manager.clear()
        SETTINGS.outputs.clear()
        with _event_loops() as executor, asyncio.Runner() as runner:
            runner.get_loop().set_default_executor(executor)
            runner.run(_run(program))

    # Pulumi keeps its state in context variables: a new context keeps them out of this one.
    contextvars.Context().run(isolated)
    return monitor.outputs


@contextlib.contextmanager
def _event_loops() -> Iterator[concurrent.futures.ThreadPoolExecutor]:
    """Yield threads with one event loop each, as Pulumi's mocks need, and close the loops.

    Pulumi would make the loops itself, and never close them.
    """
    loops: list[asyncio.AbstractEventLoop] = []

    def start() -> None:
        loops.append(asyncio.new_event_loop())
        asyncio.set_event_loop(loops[-1])

    try:
        with concurrent.futures.ThreadPoolExecutor(initializer=start) as executor:
            yield executor
    finally:
        for loop in loops:
            loop.close()


async def _run(program: Path) -> None:
    def body() -> None:
        runpy.run_path(str(program), run_name="__main__")

    await stack.run_in_stack(body)


def _as_text(value: object) -> str:
    if isinstance(value, list):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
