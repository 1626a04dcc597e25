"""What changes on a running stack when a setting does: nothing that holds a text or a log."""

import pytest

from tests.unit.recorded import SETTINGS, Recorded, Resource, record

# What holds logs or texts, or remembers them: to replace one of these loses something.
PRECIOUS = {"Bucket", "Queue", "Table", "Key"}

CHANGES = {
    "mode": "digest",
    "toNumbers": "+15005550199",
    "fromNumber": "+15005550007",
    "filterPrefix": "app/",
    "filterSuffix": ".txt",
    "message": "$name",
    "flushMinutes": "60",
    "maxTextsPerHour": "3",
    "quietHours": "22:00-07:00",
    "timezone": "Europe/Berlin",
    "alarmEmail": "on-call@example.com",
    "maxSegmentsPerDay": "7",
    "expireLogsAfterDays": "9",
    "protectBucket": "true",
    "forceDestroy": "true",
    "twilioSecret": "another-canary",
    "twilioAccountSid": "AC" + "1" * 32,
    "twilioApiKeySid": "SK" + "2" * 32,
    "twilioApiUrl": "https://gateway.example.com",
}


@pytest.fixture(scope="module")
def before() -> Recorded:
    return record()


def by_urn(program: Recorded) -> dict[str, Resource]:
    return {one.urn: one for one in program.resources}


def kind(resource: Resource) -> str:
    return resource.type.rpartition(":")[2]


def test_every_setting_is_tried(before: Recorded) -> None:
    from local.program import PROJECT  # noqa: PLC0415

    others = {"messagingServiceSid", "existingBucket"}  # they take another one's place: see below
    assert CHANGES.keys() | others == PROJECT["config"].keys()


@pytest.mark.parametrize("key", CHANGES)
def test_a_setting_gives_nothing_precious_another_name_or_home(before: Recorded, key: str) -> None:
    """A resource with the same URN and the same name is the same to Pulumi and to AWS."""
    after = by_urn(record({**SETTINGS, key: CHANGES[key]}))
    for urn, one in by_urn(before).items():
        if kind(one) in PRECIOUS:
            assert urn in after
            changed = {
                name
                for name in one.inputs.keys() | after[urn].inputs.keys()
                if one.inputs.get(name) != after[urn].inputs.get(name)
            }
            assert changed <= {"forceDestroy"}  # which S3 does not know of


def test_a_messaging_service_in_the_numbers_place_changes_the_functions_only(
    before: Recorded,
) -> None:
    after = record({**SETTINGS, "fromNumber": "", "messagingServiceSid": "MG" + "3" * 32})
    assert by_urn(after).keys() == by_urn(before).keys()
    changed = {
        kind(one)
        for urn, one in by_urn(before).items()
        if str(one.inputs.get("environment")) != str(by_urn(after)[urn].inputs.get("environment"))
    }
    assert changed == {"Function"}


def test_to_leave_the_stacks_own_bucket_keeps_what_is_held_and_refuses_to_delete_logs(
    before: Recorded,
) -> None:
    """The queues and the table stay. The bucket goes; with logs in it, S3 refuses that."""
    after = by_urn(record({**SETTINGS, "existingBucket": "their-logs"}))
    gone = {kind(one) for urn, one in by_urn(before).items() if urn not in after}
    assert gone & PRECIOUS == {"Bucket"}
    assert before.the("Bucket").inputs["forceDestroy"] is False
