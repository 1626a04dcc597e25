"""A resource provider for the emulator, which Pulumi's own engine calls.

The engine starts `pulumi-resource-aws` from PATH, and reads the port of this gRPC service from its
output. `launcher` makes such a program. `local.resources` makes the resources, as for the mocks.
"""

import concurrent.futures
import contextlib
import importlib.metadata
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from local import resources
from local.deployment import SIGNATURE_KEY, unwrap
from local.emulator import clients
from stack import ROOT
from stack.clients import Clients

EMULATOR = "S3_LOGS_EMULATOR"
"""The environment variable that gives the provider the emulator's address."""

Wire = dict[str, Any]  # properties as Pulumi sends them, with marked secrets and archives


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Makes, changes and deletes resources in the emulator for Pulumi's engine."""

    def __init__(self, aws: Clients) -> None:
        self._aws = aws

    # The names are gRPC's, from pulumi/proto/provider.proto.

    def GetPluginInfo(self, _: Any, __: Any) -> Any:  # noqa: N802, D102  # gRPC's name and meaning
        return plugin_pb2.PluginInfo(version=importlib.metadata.version("pulumi-aws"))

    def CheckConfig(self, request: Any, _: Any) -> Any:  # noqa: N802, D102  # gRPC's name and meaning
        return provider_pb2.CheckResponse(inputs=request.news)

    def DiffConfig(self, _: Any, __: Any) -> Any:  # noqa: N802, D102  # gRPC's name and meaning
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def Configure(self, _: Any, __: Any) -> Any:  # noqa: N802, D102  # gRPC's name and meaning
        return provider_pb2.ConfigureResponse(acceptSecrets=True)

    def Cancel(self, _: Any, __: Any) -> Any:  # noqa: N802, D102  # gRPC's name and meaning
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802, D102  # gRPC's name and meaning
        with _report_errors(context):
            answer = resources.invoke(self._aws, request.tok)
            return provider_pb2.InvokeResponse(**{"return": _struct(answer)})

    def Check(self, request: Any, context: Any) -> Any:  # noqa: N802  # gRPC's name
        """Name the resource, or keep its name."""
        with _report_errors(context):
            named = resources.with_name(
                request.type, request.name, _wire(request.news), _wire(request.olds)
            )
            return provider_pb2.CheckResponse(inputs=_struct(named))

    def Diff(self, request: Any, context: Any) -> Any:  # noqa: N802  # gRPC's name
        """Return the inputs that differ, and those of them that replace the resource."""
        with _report_errors(context):
            before, after = _wire(request.old_inputs), _wire(request.news)
            keys = sorted(before.keys() | after.keys())
            changed = [
                key for key in keys if _comparable(before.get(key)) != _comparable(after.get(key))
            ]
            replaces = [
                key for key in changed if key in resources.kind_of(request.type).replaced_by
            ]
            changes = provider_pb2.DiffResponse
            return provider_pb2.DiffResponse(
                changes=changes.DIFF_SOME if changed else changes.DIFF_NONE,
                diffs=changed,
                replaces=replaces,
            )

    def Create(self, request: Any, context: Any) -> Any:  # noqa: N802, D102  # gRPC's name and meaning
        with _report_errors(context):
            inputs = _wire(request.properties)
            id_, state = resources.create(self._aws, request.type, request.name, unwrap(inputs))
            return provider_pb2.CreateResponse(id=id_, properties=_outputs(inputs, state))

    def Update(self, request: Any, context: Any) -> Any:  # noqa: N802, D102  # gRPC's name and meaning
        with _report_errors(context):
            inputs = _wire(request.news)
            state = resources.update(
                self._aws, request.type, request.name, request.id, unwrap(inputs)
            )
            return provider_pb2.UpdateResponse(properties=_outputs(inputs, state))

    def Read(self, request: Any, _: Any) -> Any:  # noqa: N802  # gRPC's name
        """Return the known state: only Pulumi changes this emulator."""
        return provider_pb2.ReadResponse(
            id=request.id, properties=request.properties, inputs=request.inputs
        )

    def Delete(self, request: Any, context: Any) -> Any:  # noqa: N802, D102  # gRPC's name and meaning
        with _report_errors(context):
            state = unwrap(_wire(request.properties))
            resources.delete(self._aws, request.type, request.name, request.id, state)
            return empty_pb2.Empty()


@contextlib.contextmanager
def launcher(url: str, *commands: Path) -> Iterator[dict[str, str]]:
    """Yield the environment in which Pulumi's engine finds this provider, for an emulator.

    Args:
        url: The emulator's address.
        commands: Folders of other commands that the engine must find.
    """
    with tempfile.TemporaryDirectory(prefix="s3-logs-") as folder:
        program = Path(folder) / "pulumi-resource-aws"
        program.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{sys.executable}" -m local.provider\n')
        program.chmod(0o755)
        inherited = os.environ.get("PATH", os.defpath)
        path = os.pathsep.join([folder, *map(str, commands), inherited])
        yield {"PATH": path, EMULATOR: url}


def serve() -> None:
    """Serve until the engine ends this process."""
    with contextlib.closing(clients(os.environ[EMULATOR])) as aws:
        server = grpc.server(concurrent.futures.ThreadPoolExecutor(max_workers=16))
        provider_pb2_grpc.add_ResourceProviderServicer_to_server(Provider(aws), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        sys.stdout.write(f"{port}\n")
        sys.stdout.flush()
        server.wait_for_termination()


def _wire(properties: struct_pb2.Struct) -> Wire:
    return dict(json_format.MessageToDict(properties))


def _struct(properties: Wire) -> struct_pb2.Struct:
    return json_format.ParseDict(properties, struct_pb2.Struct())


def _outputs(inputs: Wire, state: resources.Properties) -> struct_pb2.Struct:
    """Return the inputs with the properties that AWS added. Secrets stay secret."""
    return _struct({**state, **inputs})


def _comparable(value: Any) -> Any:
    """Return a value to compare: for an archive, the hash of its content."""
    match value:
        case {"hash": hash_, **_rest} if SIGNATURE_KEY in value:
            return hash_
        case {"value": inner} if SIGNATURE_KEY in value:
            return _comparable(inner)
        case dict():
            return {key: _comparable(inner) for key, inner in value.items() if inner is not None}
        case list():
            return [_comparable(inner) for inner in value]
        case _:
            return value


@contextlib.contextmanager
def _report_errors(context: Any) -> Iterator[None]:
    try:
        yield
    except resources.ResourceError as error:
        context.abort(grpc.StatusCode.UNKNOWN, str(error))


if __name__ == "__main__":
    serve()
