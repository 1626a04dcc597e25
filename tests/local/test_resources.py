"""The mapping from the program's resources to the emulator."""

import re

import pytest

from local import resources
from local.emulator import Emulator
from stack import ROOT


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
    named = resources.with_name(type_, "held", {})
    assert re.fullmatch(r"held-[0-9a-f]{7}", named["name"])
    assert resources.with_name(type_, "held", {}, named) == named
    assert resources.with_name(type_, "held", {"name": "mine"}) == {"name": "mine"}
