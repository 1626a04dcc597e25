"""Alarms on the emulator, from the function's log to the topic, and the dashboard."""

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local.conftest import Deploy, System, until
from tests.local.operated import ALARM, output_of


def test_a_metric_of_a_function_raises_its_alarm_and_reaches_the_topic(deploy: Deploy) -> None:
    """Unlike CloudWatch, the emulator reads no metrics from logs, so the test sends them.

    Its alarms ignore dimensions and missing data. tests/unit/test_monitoring.py covers those.
    """
    system = deploy(twilioSecret="wrong")
    sqs = system.aws["sqs"]
    inbox = sqs.create_queue(QueueName=f"inbox-{system.outputs['bucket']}")["QueueUrl"]
    attributes = sqs.get_queue_attributes(QueueUrl=inbox, AttributeNames=["QueueArn"])
    arn = attributes["Attributes"]["QueueArn"]
    anybody = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [anybody]})
    sqs.set_queue_attributes(QueueUrl=inbox, Attributes={"Policy": policy})
    system.aws["sns"].subscribe(TopicArn=system.outputs["alarmTopic"], Protocol="sqs", Endpoint=arn)
    system.upload("a.log")
    system.decided("held")
    for line in system.logged("notify"):
        _hand_over(system, line)

    def mail() -> list[dict[str, Any]]:
        system.aws["cloudwatch"].describe_alarms()
        found = sqs.receive_message(
            QueueUrl=inbox, MaxNumberOfMessages=10, VisibilityTimeout=0
        ).get("Messages", [])
        return [json.loads(json.loads(one["Body"])["Message"]) for one in found]

    until(mail, "a message on the topic")
    refused = "s3-logs/demo: Twilio refuses the credentials"
    assert any(one["AlarmDescription"].startswith(refused) for one in mail())
    shown = output_of("status", system)
    alarms = [one for one in system.made if one.type.endswith(":MetricAlarm")]
    assert f"of {len(alarms)} are on" in shown, shown
    assert refused in shown
    sqs.delete_queue(QueueUrl=inbox)


def _hand_over(system: System, line: dict[str, Any]) -> None:
    """Send the metrics in a line of a log, as CloudWatch does."""
    for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
        for dimensions in directive["Dimensions"]:
            system.aws["cloudwatch"].put_metric_data(
                Namespace=directive["Namespace"],
                MetricData=[
                    {
                        "MetricName": metric["Name"],
                        "Unit": metric["Unit"],
                        "Value": line[metric["Name"]],
                        "Dimensions": [
                            {"Name": dimension, "Value": line[dimension]}
                            for dimension in dimensions
                        ],
                    }
                    for metric in directive["Metrics"]
                ],
            )


def test_missing_data_is_an_alarm_but_not_before_the_first_flush(deploy: Deploy) -> None:
    system = deploy()
    silent, other = "No flush has reported lately", "The ledger cannot be reached"
    assert silent not in output_of("status", system)
    for name in ("flush-missing", "claims-failing-open"):
        system.aws["cloudwatch"].set_alarm_state(
            AlarmName=system.resource(ALARM, f"s3-logs-demo-{name}").id,
            StateValue="INSUFFICIENT_DATA",
            StateReason="Insufficient Data: 3 datapoints were unknown.",
        )
    shown = output_of("status", system)
    assert silent in shown
    assert other not in shown  # it treats missing data as good


def test_a_dashboard_with_the_alarms_is_deployed_and_deleted(deploy: Deploy) -> None:
    system = deploy()
    name = system.outputs["dashboard"].rpartition("/")[2]
    found = system.aws["cloudwatch"].get_dashboard(DashboardName=name)["DashboardBody"]
    assert "alarm" in {widget["type"] for widget in json.loads(found)["widgets"]}
    system.destroy()
    with pytest.raises(ClientError, match="ResourceNotFound|not found|does not exist"):
        system.aws["cloudwatch"].get_dashboard(DashboardName=name)
