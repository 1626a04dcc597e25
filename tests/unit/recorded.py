"""A run of the program on Pulumi's mocks, with all its resources and questions."""

import copy
import dataclasses
import functools
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pulumi.runtime import mocks, rpc

from local import program
from local.deployment import SIGNATURE_KEY

ACCOUNT = "123456789012"
REGION = "eu-central-1"

SETTINGS = {
    "twilioAccountSid": "AC" + "0" * 32,
    "twilioSecret": "canary-secret",
    "fromNumber": "+15005550006",
    "toNumbers": "+15005550100,+15005550101",
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Resource:
    """One resource that the program registered."""

    type: str
    name: str
    inputs: dict[str, Any]
    urn: str
    parent: str
    depends_on: frozenset[str]
    protect: bool

    @property
    def secret_inputs(self) -> set[str]:
        return {key for key, value in self.inputs.items() if _is_secret(value)}

    def plain(self, key: str) -> Any:
        """Return an input, without the wrapper of a secret."""
        value = self.inputs[key]
        return value["value"] if _is_secret(value) else value

    def policy(self, key: str = "policy") -> list[dict[str, Any]]:
        """Return the statements of an input that is a policy."""
        statements = json.loads(self.inputs[key])["Statement"]
        assert isinstance(statements, list)
        return statements


@dataclasses.dataclass
class Recorded:
    """The program's resources in order, its outputs, and its questions to AWS."""

    resources: list[Resource] = dataclasses.field(default_factory=list)
    outputs: dict[str, Any] = dataclasses.field(default_factory=dict)
    asked: set[str] = dataclasses.field(default_factory=set)

    def of_type(self, type_: str) -> list[Resource]:
        return [resource for resource in self.resources if resource.type.endswith(":" + type_)]

    def the(self, type_: str, name: str | None = None) -> Resource:
        """Return the only resource of that type (and name)."""
        found = [one for one in self.of_type(type_) if name is None or one.name == name]
        assert len(found) == 1, (type_, name, [one.name for one in found])
        return found[0]

    def after(self, resource: Resource) -> set[str]:
        """Return the URNs of all resources that Pulumi creates before this one."""
        seen: set[str] = set()
        waiting = set(resource.depends_on)
        by_urn = {one.urn: one for one in self.resources}
        while waiting:
            urn = waiting.pop()
            seen.add(urn)
            waiting |= by_urn[urn].depends_on - seen if urn in by_urn else set()
        return seen


class _Recorder(program.Monitor):
    def __init__(self, recorded: Recorded, partition: str, region: str) -> None:
        super().__init__(_Mocks(recorded, partition, region))
        self._recorded = recorded

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  # gRPC's name
        response = super().RegisterResource(request)  # type: ignore[no-untyped-call]  # Pulumi's
        if response.id:
            dependencies = set(request.dependencies)
            for of_one in request.propertyDependencies.values():
                dependencies |= set(of_one.urns)
            self._recorded.resources.append(
                Resource(
                    type=request.type,
                    name=request.name,
                    inputs=rpc.deserialize_properties(request.object),
                    urn=response.urn,
                    parent=request.parent,
                    depends_on=frozenset(dependencies),
                    protect=request.protect,
                )
            )
        return response


class _Mocks(mocks.Mocks):
    def __init__(self, recorded: Recorded, partition: str, region: str) -> None:
        self._asked = recorded.asked
        self._partition = partition
        self._region = region

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[str, Any], list[tuple[str, str]]]:
        self._asked.add(args.token)
        assert args.token == "aws:index/getCallerIdentity:getCallerIdentity"
        return {"accountId": ACCOUNT, "arn": f"arn:{self._partition}:iam::{ACCOUNT}:user/test"}, []

    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        if not args.custom:
            return "", {}
        service = args.typ.split(":")[1].split("/")[0]
        made = {
            "arn": f"arn:{self._partition}:{service}:{self._region}:{ACCOUNT}:{args.name}-1a2b3c4",
            "name": f"{args.name}-1a2b3c4",
            "url": f"https://{service}.{self._region}.amazonaws.com/{ACCOUNT}/{args.name}-1a2b3c4",
        }
        return f"{args.name}-1a2b3c4", {**made, **args.inputs}


def record(
    settings: Mapping[str, str] = SETTINGS,
    *,
    stack_name: str = "test",
    partition: str = "aws",
    region: str = REGION,
    secrets: Collection[str] = program.SECRETS,
) -> Recorded:
    """Run the program as a stack with these settings.

    A run is slow, so the same arguments return a copy of the first result.
    """
    asked = (tuple(settings.items()), stack_name, partition, region, frozenset(secrets))
    return copy.deepcopy(_record_once(*asked))


@functools.cache
def _record_once(
    settings: tuple[tuple[str, str], ...],
    stack_name: str,
    partition: str,
    region: str,
    secrets: frozenset[str],
) -> Recorded:
    return record_anew(
        dict(settings), stack_name=stack_name, partition=partition, region=region, secrets=secrets
    )


def record_anew(
    settings: Mapping[str, str] = SETTINGS,
    *,
    stack_name: str = "test",
    partition: str = "aws",
    region: str = REGION,
    path: Path = program.PROGRAM,
    secrets: Collection[str] = program.SECRETS,
) -> Recorded:
    """Run the program without a cache, for tests that change more than its arguments."""
    recorded = Recorded()
    recorded.outputs = program.run(
        _Recorder(recorded, partition, region),
        settings,
        stack_name=stack_name,
        program=path,
        secrets=secrets,
    )
    return recorded


def _is_secret(value: object) -> bool:
    return isinstance(value, dict) and SIGNATURE_KEY in value
