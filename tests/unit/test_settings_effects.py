"""A changed setting replaces no resource that holds a text or a log."""

import pytest

from local.program import PROJECT
from tests.unit.recorded import SETTINGS, Recorded, Resource, record

# Resources with logs or texts, or with records of them. Replacing one would lose data.
PRECIOUS = {"Bucket", "Queue", "Table", "Key"}

FUNCTIONS = {"Function"}
ROUTED = FUNCTIONS | {"Dashboard"}  # it shows the texts of each route

# Each setting with another value, and the kinds that may change, as in the table of docs/deploy.md.
CHANGES: dict[str, tuple[str, set[str]]] = {
    "mode": ("digest", FUNCTIONS),
    "toNumbers": ("+15005550199", FUNCTIONS),
    "fromNumber": ("+15005550007", FUNCTIONS),
    "filterPrefix": ("app/", {"BucketNotification"}),
    "filterSuffix": (".txt", {"BucketNotification"}),
    "message": ("$name", FUNCTIONS),
    "flushMinutes": ("60", {"Schedule", "MetricAlarm", *FUNCTIONS}),
    "maxTextsAtOnce": ("3", FUNCTIONS),
    "maxTextsPerHour": ("3", FUNCTIONS),
    "quietHours": ("22:00-07:00", FUNCTIONS),
    "routes": ('[{"name": "a", "logs": "a/*", "toNumbers": "+15005550199"}]', ROUTED),
    "timezone": ("Europe/Berlin", FUNCTIONS),
    "contains": ("ERROR", {"RolePolicy", "Dashboard", *FUNCTIONS}),
    "expect": ("by 06:30", {"Dashboard", "RolePolicy", *FUNCTIONS}),
    "atLeast": ("1 kB", FUNCTIONS),
    "alarmEmail": ("on-call@example.com", {"TopicSubscription"}),
    "maxSegmentsPerDay": ("7", {"MetricAlarm", "Dashboard"}),
    "expireLogsAfterDays": ("9", {"BucketLifecycleConfiguration"}),
    "protectBucket": ("true", set()),  # only Pulumi's engine uses it
    "forceDestroy": ("true", {"Bucket"}),
    "twilioSecret": ("another-canary", FUNCTIONS),
    "twilioAccountSid": ("AC" + "1" * 32, FUNCTIONS),
    "twilioApiKeySid": ("SK" + "2" * 32, FUNCTIONS),
    "twilioApiUrl": ("https://gateway.example.com", FUNCTIONS),
}

# Inputs of these resources that may change, as S3 does not have them.
IN_PLACE = {"forceDestroy"}


@pytest.fixture(scope="module")
def before() -> Recorded:
    return record()


def by_urn(program: Recorded) -> dict[str, Resource]:
    return {one.urn: one for one in program.resources}


def kind(resource: Resource) -> str:
    return resource.type.rpartition(":")[2]


def changed(before: dict[str, Resource], after: dict[str, Resource]) -> set[str]:
    """Return the kinds of resources that are new, gone or have other inputs."""
    return {
        kind(before.get(urn) or after[urn])
        for urn in before.keys() | after.keys()
        if urn not in before or urn not in after or inputs(before[urn]) != inputs(after[urn])
    }


def inputs(resource: Resource) -> dict[str, str]:
    """Return the comparable inputs: the code is the same folder in a new object each time."""
    return {key: str(value) for key, value in resource.inputs.items() if key != "code"}


def test_every_setting_is_tried(before: Recorded) -> None:
    others = {"messagingServiceSid", "existingBucket"}  # they replace another setting: see below
    assert CHANGES.keys() | others == PROJECT["config"].keys()


@pytest.mark.parametrize("key", CHANGES)
def test_a_setting_renames_or_replaces_no_resource_that_holds_data(
    before: Recorded, key: str
) -> None:
    """Pulumi and AWS identify a resource by URN and name."""
    value, may_change = CHANGES[key]
    first, after = by_urn(before), by_urn(record({**SETTINGS, key: value}))
    assert changed(first, after) <= may_change
    for urn, one in first.items():
        if kind(one) in PRECIOUS:
            assert urn in after
            others = {
                name
                for name in one.inputs.keys() | after[urn].inputs.keys()
                if one.inputs.get(name) != after[urn].inputs.get(name)
            }
            assert others <= IN_PLACE


def test_a_messaging_service_in_the_numbers_place_changes_the_functions_only(
    before: Recorded,
) -> None:
    after = record({**SETTINGS, "fromNumber": "", "messagingServiceSid": "MG" + "3" * 32})
    assert changed(by_urn(before), by_urn(after)) == FUNCTIONS


def test_the_filters_of_an_existing_bucket_change_the_rule_only() -> None:
    theirs = {**SETTINGS, "existingBucket": "their-logs"}
    before, after = record(theirs), record({**theirs, "filterPrefix": "app/"})
    assert changed(by_urn(before), by_urn(after)) == {"EventRule"}


def test_renaming_the_stack_changes_only_the_functions_and_the_monitoring() -> None:
    """`pulumi stack rename` keeps each resource in the state whose type and name stay the same."""

    def by_name(stack_name: str) -> dict[str, Resource]:
        declared = record({**SETTINGS, "alarmEmail": "a@example.com"}, stack_name=stack_name)
        return {f"{one.type} {one.name}": one for one in declared.resources}

    first, renamed = by_name("test"), by_name("other")
    watching = {"Topic", "TopicPolicy", "TopicSubscription", "MetricAlarm", "Dashboard"}
    assert changed(first, renamed) == FUNCTIONS | watching
    assert {kind(first[one]) for one in first.keys() - renamed.keys()} == watching


def test_switching_to_an_existing_bucket_keeps_held_texts_and_deletes_no_logs(
    before: Recorded,
) -> None:
    """The queues and the table stay. Pulumi deletes the bucket, but S3 refuses if it has logs."""
    after = by_urn(record({**SETTINGS, "existingBucket": "their-logs"}))
    gone = {kind(one) for urn, one in by_urn(before).items() if urn not in after}
    assert gone & PRECIOUS == {"Bucket"}
    assert before.the("Bucket").inputs["forceDestroy"] is False
