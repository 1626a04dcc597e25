"""Expected logs on the emulator, with its permissions. The tests move times in the ledger."""

import datetime

from tests.local.conftest import Deploy, System, until

MINUTE = datetime.timedelta(minutes=1)
ITEM = {"id": {"S": "expected "}}


def flush(system: System) -> None:
    """Run a flush, and wait until it has checked the expected logs."""
    before = len([line for line in system.logged("flush") if line.get("outcome") == "expected"])
    system.aws["lambda"].invoke(FunctionName=system.outputs["flushFunction"])
    system.decided("expected", count=before + 1, function="flush")


def move_back(system: System, by: datetime.timedelta) -> None:
    """Move the times in the ledger back, as if the time had passed."""
    table = system.settings.ledger_table
    item = system.aws["dynamodb"].get_item(TableName=table, Key=ITEM)["Item"]
    for name in ("since", "last_at", "previous_at"):
        if name in item and item[name] != {"N": "0"}:
            moved = int(item[name]["N"]) - int(by.total_seconds() * 1000)
            item[name] = {"N": str(moved)}
    system.aws["dynamodb"].put_item(TableName=table, Item=item)


def test_a_log_that_does_not_come_is_texted_and_the_one_that_ends_it_is_late(
    deploy: Deploy,
) -> None:
    system = deploy(expect="every 45m", atLeast="10 B", message="$key", flushMinutes="20")
    flush(system)
    system.upload("app/a.log", b"large enough")
    assert [text.body for text in system.texts(1)] == ["app/a.log"]
    until(
        lambda: system.aws["dynamodb"].get_item(TableName=system.settings.ledger_table, Key=ITEM),
        "the log in the ledger",
        lambda answer: "last_at" in answer["Item"],
    )
    move_back(system, 50 * MINUTE)
    flush(system)
    missing = system.texts(2)[1].body
    assert missing.startswith("Missing: no log since ")
    assert missing.endswith(", expected every 45m")
    flush(system)
    system.upload("app/small.log", b"small")
    system.upload("app/b.log", b"large enough")
    bodies = [text.body for text in system.texts(4)]
    assert sorted(bodies[2:]) == [
        "app/b.log (late, expected every 45m)",
        "app/small.log (too small, expected at least 10 B)",
    ]
    for function in ("notify", "flush"):
        assert "AccessDenied" not in str(system.logged(function))


def test_a_stack_that_expects_nothing_keeps_no_item(deploy: Deploy) -> None:
    system = deploy()
    system.aws["lambda"].invoke(FunctionName=system.outputs["flushFunction"])
    system.upload("app/a.log")
    system.texts(1)
    found = system.aws["dynamodb"].get_item(TableName=system.settings.ledger_table, Key=ITEM)
    assert "Item" not in found
