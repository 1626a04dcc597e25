"""A stand-in for AWS's CLI, based on boto3, which has the same models of the services.

It derives the options from a service's model as AWS's CLI does. Of `aws s3` it knows `mb` and `cp`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import boto3
import jmespath
from botocore import xform_name


def main(service: str, operation: str, *words: str) -> None:
    """Run a command, and print its answer as AWS's CLI does."""
    if service == "s3":
        _s3(operation, *words)
        return
    client = boto3.client({"s3api": "s3"}.get(service, service))
    given = _options(words)
    query, output = given.pop("query", [""])[0], given.pop("output", ["json"])[0]
    name = client.meta.method_to_api_mapping[operation.replace("-", "_")]
    shapes = client.meta.service_model.operation_model(name).input_shape.members
    members = {xform_name(member, "-"): member for member in shapes}
    arguments = {
        members[option]: _value(shapes[members[option]], values) for option, values in given.items()
    }
    answer = getattr(client, operation.replace("-", "_"))(**arguments)
    del answer["ResponseMetadata"]
    shown = jmespath.search(query, answer) if query else answer
    if shown:
        print(shown if output == "text" else json.dumps(shown, default=str))  # noqa: T201  # its answer


def _s3(operation: str, *words: str) -> None:
    client = boto3.client("s3")
    bucket, _, key = words[-1].removeprefix("s3://").partition("/")
    if operation == "mb":
        client.create_bucket(Bucket=bucket)
    else:
        assert operation == "cp"
        client.upload_file(words[0], bucket, key)


def _options(words: tuple[str, ...]) -> dict[str, list[str]]:
    """Return the values of each option."""
    given: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            values = given[word.removeprefix("--")] = []
        else:
            values.append(word)
    return given


def _value(shape: Any, values: list[str]) -> Any:
    """Read the value of an option: JSON, a file with it, or the CLI's short form."""
    text = values[0]
    if text.startswith("file://"):
        text = Path(text.removeprefix("file://")).read_text()
    if shape.type_name == "list":
        return values
    if shape.type_name == "boolean":
        return text == "true"
    if shape.type_name != "structure":
        return text
    if text.startswith("{"):
        return json.loads(text)
    pairs = (pair.partition("=") for pair in text.split(","))
    return {name: _value(shape.members[name], [one]) for name, _, one in pairs}


if __name__ == "__main__":
    main(*sys.argv[1:])
