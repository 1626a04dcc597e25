"""`LogBucket.on_object_created` in other programs."""

import functools
import textwrap
from pathlib import Path
from typing import Any

import pulumi
import pytest

from infra import package
from infra.function import handler_setting
from tests.unit.recorded import Recorded, record_anew


@pytest.fixture
def program(tmp_path: Path) -> Any:
    """A function that runs a program with the subscriptions of a test."""

    def run(body: str) -> Recorded:
        path = tmp_path / "__main__.py"
        path.write_text(
            "import pulumi, pulumi_aws as aws, handler\n"
            "from infra.log_bucket import LogBucket\n"
            "from infra.runtime import Runtime\n"
            "logs = LogBucket('logs')\n"
            "shared = Runtime('functions', environment={})\n"
            "needs = {'runtime': shared, 'failed': aws.sqs.Queue('q')}\n"
            "other = aws.lambda_.Function('other', role='arn:aws:iam::1:role/r')\n"
            + textwrap.dedent(body)
        )
        return record_anew(path=path)

    return run


def rules(program: Recorded) -> dict[str, tuple[str, str, str]]:
    return {
        rule["id"]: (rule["events"][0], rule["filterPrefix"], rule["filterSuffix"])
        for rule in program.the("BucketNotification").inputs["lambdaFunctions"]
    }


FIRST = "logs.on_object_created('a', handler.notify, filter_suffix='.log', **needs)\n"
SECOND = (
    "logs.on_object_created('b', other, event='Put', filter_prefix='db/', filter_suffix='.txt')\n"
)


def test_all_subscriptions_become_one_notification_that_waits_for_every_permission(
    program: Any,
) -> None:
    made = program(FIRST + SECOND)
    notification = made.the("BucketNotification")
    assert notification.name == "logs"
    assert rules(made) == {
        "a": ("s3:ObjectCreated:*", "", ".log"),
        "b": ("s3:ObjectCreated:Put", "db/", ".txt"),
    }
    assert {permission.urn for permission in made.of_type("Permission")} <= made.after(notification)


def test_the_order_in_which_they_are_written_makes_no_difference(program: Any) -> None:
    inputs = [
        program(body).the("BucketNotification").inputs for body in (FIRST + SECOND, SECOND + FIRST)
    ]
    assert inputs[0] == inputs[1]


def test_removing_all_leaves_the_notification_in_place(program: Any) -> None:
    assert rules(program("")) == {}


def test_a_subscription_exposes_bucket_function_and_permission(program: Any) -> None:
    made = program(
        """
        it = logs.on_object_created('b', other)
        pulumi.export('it', [it.bucket.id, it.func.name, it.permission.function])
        """
    )
    assert made.outputs["it"] == ["logs-1a2b3c4", "other-1a2b3c4", "other-1a2b3c4"]


def test_two_buckets_have_a_notification_each(program: Any) -> None:
    made = program("LogBucket('more').on_object_created('c', other)\n" + FIRST)
    assert [one.name for one in made.of_type("BucketNotification")] == ["logs", "more"] or [
        one.name for one in made.of_type("BucketNotification")
    ] == ["more", "logs"]


def refusal(program: Any, body: str) -> str:
    with pytest.raises(pulumi.RunError) as caught:
        program(body)
    return str(caught.value)


def test_a_second_one_of_the_same_name_is_refused(program: Any) -> None:
    assert refusal(program, FIRST + FIRST) == (
        "logs.on_object_created('a'): this name is taken. Choose another one."
    )


OVERLAP = [
    # Event, prefix and suffix of two subscriptions, and whether one object could match both
    (("*", "", ".log"), ("*", "", ".log"), True),
    (("*", "", ""), ("*", "app/", ".log"), True),
    (("*", "app/", ""), ("*", "app/web/", ".log"), True),
    (("*", "", ".log"), ("*", "", ".access.log"), True),
    (("Put", "", ""), ("*", "", ""), True),
    (("*", "app/", ""), ("*", "", ".log"), True),
    (("Put", "", ""), ("Copy", "", ""), False),
    (("*", "app/", ""), ("*", "db/", ""), False),
    (("*", "", ".log"), ("*", "", ".txt"), False),
    (("*", "app/", ".log"), ("*", "app/", ".txt"), False),
]


@pytest.mark.parametrize(("one", "other", "overlap"), OVERLAP)
def test_filters_that_one_object_could_match_are_refused(
    program: Any, one: tuple[str, str, str], other: tuple[str, str, str], overlap: bool
) -> None:
    def subscribe(name: str, wanted: tuple[str, str, str]) -> str:
        options = dict(zip(("event", "filter_prefix", "filter_suffix"), wanted, strict=True))
        return f"logs.on_object_created({name!r}, other, **{options})\n"

    for first, second in ((one, other), (other, one)):
        body = subscribe("a", first) + subscribe("b", second)
        if overlap:
            message = refusal(program, body)
            assert "its filter overlaps that of 'a'" in message
            assert all(repr(part) in message for part in (*first[1:], *second[1:]))
        else:
            assert len(rules(program(body))) == 2


def test_several_suffixes_are_a_rule_each_of_one_subscription(program: Any) -> None:
    made = program("logs.on_object_created('b', other, filter_suffix=['.txt', '.log'])\n")
    assert rules(made) == {
        "b.1": ("s3:ObjectCreated:*", "", ".log"),
        "b.2": ("s3:ObjectCreated:*", "", ".txt"),
    }
    assert len(made.of_type("Permission")) == 1


@pytest.mark.parametrize(
    ("suffixes", "overlapping"), [(".log .txt", "'b'"), (".gz .log.gz", "itself")]
)
def test_each_of_several_suffixes_is_checked(program: Any, suffixes: str, overlapping: str) -> None:
    one = "logs.on_object_created('b', other, filter_suffix='.access.log')\n"
    body = f"logs.on_object_created('c', other, filter_suffix={suffixes.split()!r})\n"
    assert f"its filter overlaps that of {overlapping}" in refusal(program, one + body)


def test_a_list_without_a_suffix_is_refused(program: Any) -> None:
    message = refusal(program, "logs.on_object_created('b', other, filter_suffix=[])\n")
    assert "filter_suffix lists no suffix" in message


def test_subscribing_inside_apply_is_refused(program: Any) -> None:
    message = refusal(
        program,
        """
        def late(_):
            logs.on_object_created('late', other)
        logs.notification.id.apply(late)
        """,
    )
    assert "too late" in message


def test_an_existing_function_takes_no_options(program: Any) -> None:
    message = refusal(program, "logs.on_object_created('b', other, environment={'A': 'b'})")
    assert "environment cannot be given with a Lambda function that exists already" in message


def outer(event: object, context: object) -> None:
    """A function in a test module, which is in a package."""


class Callable:
    def __call__(self, event: object, context: object) -> None:
        pass

    def method(self, event: object, context: object) -> None:
        pass


def wrapped(event: object, context: object) -> None:
    pass


renamed = wrapped
wrapped = functools.wraps(wrapped)(lambda *event: renamed(*event))  # type: ignore[assignment]  # noqa: PLW0108


@pytest.mark.parametrize(
    ("handler", "why"),
    [
        (lambda _event, _context: None, "is a lambda expression"),
        (lambda: None, "is a lambda expression"),
        (Callable(), "is not a function"),
        (Callable().method, "is not a function"),
        (functools.partial(outer), "is not a function"),
        (Callable.method, "is defined inside a class"),
        (
            renamed,
            "has a name that stands for another object, tests.unit.test_on_object_created.wrapped",
        ),
    ],
)
def test_a_handler_that_lambda_cannot_import_is_refused(handler: Any, why: str) -> None:
    with pytest.raises(pulumi.RunError) as caught:
        handler_setting(handler)
    assert "Lambda cannot import the handler" in str(caught.value)
    assert why in str(caught.value)
    assert "handler/__init__.py" in str(caught.value)


def test_a_nested_function_is_refused() -> None:
    def inner(event: object, context: object) -> None:
        pass

    with pytest.raises(pulumi.RunError, match="is defined inside another function"):
        handler_setting(inner)


def test_a_function_of_the_program_itself_is_refused(program: Any) -> None:
    message = refusal(
        program,
        """
        def mine(event, context): pass
        logs.on_object_created('mine', mine, **needs)
        """,
    )
    assert "is defined in the program itself" in message


def test_a_function_of_a_module_without_a_package_is_refused() -> None:
    with pytest.raises(pulumi.RunError, match="is not in a package"):
        handler_setting(textwrap.dedent)  # type: ignore[arg-type]  # its arguments do not matter


def test_a_function_of_a_package_is_named_by_module_and_name() -> None:
    assert handler_setting(outer) == "tests.unit.test_on_object_created.outer"


def test_a_package_that_cannot_be_built_is_one_clear_error(
    program: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Path:
        raise package.PackageError("PyPI cannot be reached.")

    monkeypatch.setattr(package, "build", broken)
    assert refusal(program, FIRST) == "PyPI cannot be reached."
