"""The program's resources: their order, secrets and least privilege."""

import json
import re
from pathlib import Path

import pytest

from handler.environment import read_settings
from local.program import PROGRAM
from tests.unit.recorded import ACCOUNT, SETTINGS, Recorded, Resource, record, record_anew

ROUTE = {"name": "a", "logs": "a/*.log", "toNumbers": "+15005550177"}


@pytest.fixture(scope="module")
def program() -> Recorded:
    return record()


def statements(program: Recorded) -> list[dict[str, object]]:
    return [
        statement
        for policy in (*program.of_type("RolePolicy"), *program.of_type("BucketPolicy"))
        for statement in policy.policy()
    ]


# Bucket


def test_the_bucket_is_private_and_encrypted(program: Recorded) -> None:
    block = program.the("BucketPublicAccessBlock").inputs
    assert {key for key, value in block.items() if value is True} == {
        "blockPublicAcls",
        "blockPublicPolicy",
        "ignorePublicAcls",
        "restrictPublicBuckets",
    }
    owner = program.the("BucketOwnershipControls").inputs
    assert owner["rule"] == {"objectOwnership": "BucketOwnerEnforced"}
    encryption = program.the("BucketServerSideEncryptionConfiguration").inputs
    assert encryption["rules"] == [
        {"applyServerSideEncryptionByDefault": {"sseAlgorithm": "AES256"}}
    ]


def test_the_bucket_refuses_access_without_tls(program: Recorded) -> None:
    (statement,) = program.the("BucketPolicy").policy()
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == (
        "Deny",
        "*",
        "s3:*",
    )
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    assert statement["Resource"] == [
        "arn:aws:s3:eu-central-1:123456789012:logs-1a2b3c4",
        "arn:aws:s3:eu-central-1:123456789012:logs-1a2b3c4/*",
    ]


def test_logs_expire_only_if_asked(program: Recorded) -> None:
    (abort,) = program.the("BucketLifecycleConfiguration").inputs["rules"]
    assert abort["abortIncompleteMultipartUpload"] == {"daysAfterInitiation": 7}
    assert "expiration" not in abort
    asked = record({**SETTINGS, "expireLogsAfterDays": "30"})
    _, expire = asked.the("BucketLifecycleConfiguration").inputs["rules"]
    assert expire["expiration"] == {"days": 30}


def test_the_bucket_is_protected_and_destroyed_only_if_asked(program: Recorded) -> None:
    bucket = program.the("Bucket")
    assert (bucket.protect, bucket.inputs["forceDestroy"]) == (False, False)
    asked = record({**SETTINGS, "protectBucket": "true", "forceDestroy": "true"}).the("Bucket")
    assert (asked.protect, asked.inputs["forceDestroy"]) == (True, True)


# Subscription


def test_the_notification_filters_as_set(program: Recorded) -> None:
    (rule,) = program.the("BucketNotification").inputs["lambdaFunctions"]
    assert rule["events"] == ["s3:ObjectCreated:*"]
    assert (rule["filterPrefix"], rule["filterSuffix"]) == ("", ".log")
    asked = record({**SETTINGS, "filterPrefix": "my app/é+", "filterSuffix": ""})
    (rule,) = asked.the("BucketNotification").inputs["lambdaFunctions"]
    assert (rule["filterPrefix"], rule["filterSuffix"]) == ("my+app/%C3%A9%2B", "")


def test_each_suffix_is_a_rule_of_the_one_notification() -> None:
    asked = record({**SETTINGS, "filterPrefix": "app/", "filterSuffix": ".log.gz,.log"})
    rules = asked.the("BucketNotification").inputs["lambdaFunctions"]
    assert [(rule["filterPrefix"], rule["filterSuffix"]) for rule in rules] == [
        ("app/", ".log"),
        ("app/", ".log.gz"),
    ]
    assert [rule["id"] for rule in rules] == ["notify.1", "notify.2"]
    assert len(asked.of_type("Permission")) == 1
    other_order = record({**SETTINGS, "filterPrefix": "app/", "filterSuffix": ".log,.log.gz"})
    assert other_order.the("BucketNotification").inputs["lambdaFunctions"] == rules


def test_only_this_bucket_of_this_account_may_call_the_function(program: Recorded) -> None:
    permission = program.the("Permission").inputs
    assert permission["principal"] == "s3.amazonaws.com"
    assert permission["action"] == "lambda:InvokeFunction"
    assert permission["function"] == "notify-1a2b3c4"
    assert permission["sourceAccount"] == ACCOUNT
    assert permission["sourceArn"].endswith(":logs-1a2b3c4")


def test_the_permission_exists_before_the_notification(program: Recorded) -> None:
    assert program.the("Permission").urn in program.after(program.the("BucketNotification"))


# Functions


def test_the_log_group_and_the_permissions_exist_before_the_function(program: Recorded) -> None:
    before = program.after(program.the("Function", "notify"))
    assert program.the("LogGroup", "/aws/lambda/notify").urn in before
    assert program.the("RolePolicy", "notify").urn in before


def test_the_function_runs_the_handler_as_designed(program: Recorded) -> None:
    function = program.the("Function", "notify").inputs
    assert function["handler"] == "handler.notify"
    assert function["architectures"] == ["arm64"]
    assert re.fullmatch(r"python3\.1[1-4]", function["runtime"])
    assert function["loggingConfig"] == {
        "logFormat": "JSON",
        "logGroup": "/aws/lambda/notify-1a2b3c4",
    }
    assert program.the("LogGroup", "/aws/lambda/notify").inputs["retentionInDays"] == 30
    assert (Path(function["code"].path) / "handler" / "__init__.py").is_file()
    assert "reservedConcurrentExecutions" not in function


def test_the_handler_reads_the_environment_of_the_function(program: Recorded) -> None:
    function = program.the("Function", "notify")
    settings = read_settings(function.plain("environment")["variables"])
    assert settings.twilio_secret == "canary-secret"
    assert settings.to_numbers == ("+15005550100", "+15005550101")
    assert settings.timezone == "UTC"
    assert settings.ledger_table == "ledger-1a2b3c4"
    assert settings.held_queue.endswith("/texts-held-1a2b3c4")
    assert settings.failed_queue.endswith("/texts-failed-1a2b3c4")
    assert settings.stack == "s3-logs/test"


def test_secret_and_numbers_are_secret_in_every_resource(program: Recorded) -> None:
    for function in program.of_type("Function"):
        assert function.secret_inputs == {"environment"}
    for resource in program.resources:
        plain = {
            key: value
            for key, value in resource.inputs.items()
            if key not in resource.secret_inputs
        }
        for hidden in (SETTINGS["twilioSecret"], *SETTINGS["toNumbers"].split(",")):
            assert hidden not in str(plain), resource.name
    assert "canary-secret" not in str(program.outputs)


def test_the_environment_is_under_a_key_of_the_stacks_own(program: Recorded) -> None:
    key = program.the("Key")
    assert key.inputs["enableKeyRotation"] is True
    assert (
        program.the("Function", "notify")
        .inputs["kmsKeyArn"]
        .endswith("kms:eu-central-1:123456789012:functions-1a2b3c4")
    )


def test_an_event_that_lambda_gives_up_on_is_kept_for_two_weeks(program: Recorded) -> None:
    config = program.the("FunctionEventInvokeConfig", "notify").inputs
    queue = program.the("Queue", "texts-failed")
    assert config["functionName"] == "notify-1a2b3c4"
    assert config["maximumRetryAttempts"] == 2
    assert config["destinationConfig"]["onFailure"]["destination"].endswith(":texts-failed-1a2b3c4")
    assert queue.inputs["messageRetentionSeconds"] == 14 * 24 * 3600
    assert queue.inputs["sqsManagedSseEnabled"] is True


# Held texts


def test_flush_runs_every_few_minutes(program: Recorded) -> None:
    schedule = program.the("Schedule", "flush").inputs
    assert schedule["scheduleExpression"] == "rate(5 minutes)"
    assert schedule["target"]["arn"].endswith(":flush-1a2b3c4")
    assert schedule["target"]["roleArn"].endswith(":flush-schedule-1a2b3c4")
    asked = record({**SETTINGS, "flushMinutes": "1"}).the("Schedule", "flush")
    assert asked.inputs["scheduleExpression"] == "rate(1 minute)"


def test_a_flush_that_aws_throttles_does_not_queue_up(program: Recorded) -> None:
    """By default Lambda keeps a throttled event for six hours."""
    target = program.the("Schedule", "flush").inputs["target"]
    assert target["retryPolicy"] == {"maximumEventAgeInSeconds": 60, "maximumRetryAttempts": 0}
    flush = program.the("FunctionEventInvokeConfig", "flush").inputs
    assert (flush["maximumEventAgeInSeconds"], flush["maximumRetryAttempts"]) == (60, 0)


def test_an_event_that_aws_throttles_waits_as_long_as_lambda_keeps_it(program: Recorded) -> None:
    notify = program.the("FunctionEventInvokeConfig", "notify").inputs
    assert notify["maximumEventAgeInSeconds"] == 6 * 60 * 60


def test_a_held_text_can_fail_and_be_redriven(program: Recorded) -> None:
    """SQS redrives only from a queue that another queue names as its dead-letter queue."""
    held, failed = program.the("Queue", "texts-held"), program.the("Queue", "texts-failed")
    redrive = json.loads(held.inputs["redrivePolicy"])
    assert redrive["deadLetterTargetArn"].endswith(":texts-failed-1a2b3c4")
    assert held.inputs["messageRetentionSeconds"] < failed.inputs["messageRetentionSeconds"]


def test_the_ledger_deletes_old_items_by_itself_and_costs_nothing_idle(program: Recorded) -> None:
    table = program.the("Table").inputs
    assert table["ttl"] == {"attributeName": "expires", "enabled": True}
    assert table["billingMode"] == "PAY_PER_REQUEST"
    assert table["hashKey"] == "id"


# Least privilege


def may(program: Recorded, role: str) -> set[tuple[str, str]]:
    """Return a role's permissions: actions, each with the name of its resource."""
    return {
        (action, str(statement["Resource"]).removesuffix(":*").rsplit(":", 1)[1])
        for statement in program.the("RolePolicy", role).policy()
        for action in (
            [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
        )
    }


def test_each_function_may_do_exactly_this(program: Recorded) -> None:
    assert may(program, "notify") == {
        ("logs:CreateLogStream", "/aws/lambda/notify-1a2b3c4"),
        ("logs:PutLogEvents", "/aws/lambda/notify-1a2b3c4"),
        ("kms:Decrypt", "functions-1a2b3c4"),
        ("dynamodb:UpdateItem", "ledger-1a2b3c4"),
        ("dynamodb:BatchWriteItem", "ledger-1a2b3c4"),
        ("sqs:SendMessage", "texts-held-1a2b3c4"),
        ("sqs:SendMessage", "texts-failed-1a2b3c4"),
    }
    assert may(program, "flush") == {
        ("logs:CreateLogStream", "/aws/lambda/flush-1a2b3c4"),
        ("logs:PutLogEvents", "/aws/lambda/flush-1a2b3c4"),
        ("kms:Decrypt", "functions-1a2b3c4"),
        ("dynamodb:UpdateItem", "ledger-1a2b3c4"),
        ("dynamodb:BatchWriteItem", "ledger-1a2b3c4"),
        ("dynamodb:BatchGetItem", "ledger-1a2b3c4"),
        ("dynamodb:Query", "ledger-1a2b3c4/index/reports"),
        ("sqs:ReceiveMessage", "texts-held-1a2b3c4"),
        ("sqs:ChangeMessageVisibility", "texts-held-1a2b3c4"),
        ("sqs:DeleteMessage", "texts-held-1a2b3c4"),
        ("sqs:SendMessage", "texts-held-1a2b3c4"),
        ("sqs:SendMessage", "texts-failed-1a2b3c4"),
    }
    assert may(program, "flush-schedule") == {("lambda:InvokeFunction", "flush-1a2b3c4")}


@pytest.mark.parametrize(
    "changes",
    [
        {"contains": "ERROR"},
        {"message": "$key: $line"},
        {"message": "${count} in $key"},
        {"routes": json.dumps([{**ROUTE, "contains": "ERROR"}])},
    ],
    ids=str,
)
def test_only_notify_may_read_and_only_a_stack_that_looks_inside(
    program: Recorded, changes: dict[str, str]
) -> None:
    inside = record({**SETTINGS, **changes})
    assert may(inside, "notify") - may(program, "notify") == {
        ("s3:GetObject", "logs-1a2b3c4/*"),
    }
    assert may(inside, "flush") == may(program, "flush")


@pytest.mark.parametrize(
    "changes",
    [{"expect": "by 06:30"}, {"routes": json.dumps([{**ROUTE, "expect": "every 6h"}])}],
    ids=str,
)
def test_only_a_stack_that_expects_logs_lets_notify_look_up(
    program: Recorded, changes: dict[str, str]
) -> None:
    expecting = record({**SETTINGS, **changes})
    assert may(expecting, "notify") - may(program, "notify") == {
        ("dynamodb:BatchGetItem", "ledger-1a2b3c4"),
    }
    assert may(expecting, "flush") == may(program, "flush")


@pytest.mark.parametrize("partition", ["aws", "aws-cn"])
def test_each_version_in_an_existing_bucket_may_be_read(partition: str) -> None:
    settings = {**SETTINGS, "existingBucket": "their-logs", "contains": "ERROR"}
    statement = record(settings, partition=partition).the("RolePolicy", "notify").policy()[-1]
    assert statement["Action"] == ["s3:GetObject", "s3:GetObjectVersion"]
    assert statement["Resource"] == f"arn:{partition}:s3:::their-logs/*"


def test_a_preview_says_that_it_cannot_check_the_key_of_an_existing_bucket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []
    monkeypatch.setattr("pulumi.log.info", said.append)
    record_anew({**SETTINGS, "existingBucket": "their-logs"})
    assert said == []
    record_anew({**SETTINGS, "existingBucket": "their-logs", "contains": "ERROR"})
    (line,) = said
    assert "needs kms:Decrypt on that key. A preview cannot check this: docs/deploy.md" in line


def test_flush_may_record_outcomes_but_claim_nothing(program: Recorded) -> None:
    """A claim is a transaction of updates; AWS names it in `dynamodb:EnclosingOperation`."""

    def conditions(role: str) -> list[object]:
        return [
            statement.get("Condition")
            for statement in program.the("RolePolicy", role).policy()
            if "dynamodb:UpdateItem" in statement["Action"]
        ]

    no_transaction = {
        "StringNotEquals": {"dynamodb:EnclosingOperation": "TransactWriteItems"},
    }
    assert conditions("flush") == [no_transaction]
    assert conditions("notify") == [None]


def test_no_permission_has_a_wildcard(program: Recorded) -> None:
    for statement in statements(program):
        if statement["Effect"] == "Allow":
            assert "*" not in json.dumps(statement["Action"])
            assert "*" not in str(statement["Resource"]).removesuffix(":*")


def test_each_role_is_for_one_service_only(program: Recorded) -> None:
    assert {
        role.name: role.policy("assumeRolePolicy")[0]["Principal"]
        for role in program.of_type("Role")
    } == {
        "notify": {"Service": "lambda.amazonaws.com"},
        "flush": {"Service": "lambda.amazonaws.com"},
        "flush-schedule": {"Service": "scheduler.amazonaws.com"},
    }


def test_policies_are_written_as_aws_gives_them_back(program: Recorded) -> None:
    for resource in (*program.of_type("RolePolicy"), *program.of_type("BucketPolicy")):
        written = resource.inputs["policy"]
        assert written == json.dumps(json.loads(written), sort_keys=True, separators=(",", ":"))


# Program


def test_the_program_is_short_enough_to_read_aloud_and_exports_in_one_statement() -> None:
    body = PROGRAM.read_text()
    assert len(body.splitlines()) <= 70
    assert body.count("pulumi.export(") == 1


def test_every_resource_belongs_to_a_component(program: Recorded) -> None:
    alone = [one.name for one in program.resources if "s3logs:infra:" not in one.parent]
    assert alone == []


def test_the_outputs_name_bucket_functions_queues_topic_and_dashboard(program: Recorded) -> None:
    assert program.outputs == {
        "bucket": "logs-1a2b3c4",
        "uploadCommand": "aws s3 cp example.log 's3://logs-1a2b3c4/example.log'",
        "logKeys": "*.log",
        "notifyFunction": "notify-1a2b3c4",
        "notifyLogGroup": "/aws/lambda/notify-1a2b3c4",
        "flushFunction": "flush-1a2b3c4",
        "flushLogGroup": "/aws/lambda/flush-1a2b3c4",
        "heldQueue": "https://sqs.eu-central-1.amazonaws.com/123456789012/texts-held-1a2b3c4",
        "failedQueue": "https://sqs.eu-central-1.amazonaws.com/123456789012/texts-failed-1a2b3c4",
        "alarmTopic": "arn:aws:sns:eu-central-1:123456789012:s3-logs-test-alarms-1a2b3c4",
        "dashboard": "https://eu-central-1.console.aws.amazon.com/cloudwatch/home"
        "#dashboards/dashboard/s3-logs-test-eu-central-1",
    }


def test_the_upload_command_names_a_file_that_the_filter_lets_through() -> None:
    program = record({**SETTINGS, "filterPrefix": "app/", "filterSuffix": ".txt"})
    assert program.outputs["uploadCommand"].endswith("/app/example.txt'")


def test_with_several_suffixes_the_outputs_name_all_and_the_upload_command_the_first() -> None:
    program = record({**SETTINGS, "filterPrefix": "a, b/", "filterSuffix": ".txt,.log.gz"})
    assert program.outputs["uploadCommand"].endswith("/a, b/example.txt'")
    assert program.outputs["logKeys"] == "a, b/*.txt,.log.gz"


def test_two_runs_declare_the_same() -> None:
    def asked(program: Recorded) -> list[tuple[str, str, str]]:
        return sorted((one.type, one.name, str(_without_code(one))) for one in program.resources)

    assert asked(record()) == asked(record_anew())


def _without_code(resource: Resource) -> list[tuple[str, object]]:
    inputs = {**resource.inputs, "code": getattr(resource.inputs.get("code"), "path", None)}
    return sorted((key, str(value)) for key, value in inputs.items())
