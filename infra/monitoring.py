"""The alarms of a stack, the topic that they go to, and the dashboard."""

import pulumi
import pulumi_aws as aws

from infra import names, policy
from infra.alarms import Alarm, alarms
from infra.dashboard import body
from infra.existing_bucket import EventSubscription
from infra.log_bucket import Subscription
from infra.queues import TextQueues
from infra.schedule import Schedule


class Monitoring(pulumi.ComponentResource):
    """The alarms of a stack, the topic that they go to, and its dashboard.

    Attributes:
        topic: The topic that the alarms go to.
        alarms: The alarms, by their name.
        dashboard: The dashboard.
        address: The dashboard's address in AWS's console, or its name for an unknown console.
    """

    topic: aws.sns.Topic
    alarms: dict[str, aws.cloudwatch.MetricAlarm]
    dashboard: aws.cloudwatch.Dashboard
    address: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        *,
        stack: str,
        notify: Subscription | EventSubscription,
        flush: Schedule,
        queues: TextQueues,
        max_segments_per_day: int,
        has_routes: bool = False,
        expects_logs: bool = False,
        looks_inside: bool = False,
        email: str = "",
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """Declare the topic, the alarms and the dashboard.

        Args:
            name: Its name; AWS's names begin with the stack's.
            stack: The project and the stack, as in the metrics' dimension.
            notify: The subscription of the function `notify`.
            flush: The schedule of the function `flush`.
            queues: The queues.
            max_segments_per_day: The segments a day above which an alarm is raised.
            has_routes: Whether the dashboard also shows the texts of each route.
            expects_logs: Whether the dashboard shows expected logs.
            looks_inside: Whether the dashboard counts the logs that `notify` reads.
            email: The address that gets the alarms, once its owner confirms; "" for none.
            opts: Pulumi's options.
        """
        super().__init__("s3logs:infra:Monitoring", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        title = names.of_stack(stack)
        notify_function, flush_function = notify.func, flush.function
        self.topic = aws.sns.Topic(f"{title}-alarms", opts=child)
        account = aws.get_caller_identity_output(
            opts=pulumi.InvokeOutputOptions(parent=self)
        ).account_id
        aws.sns.TopicPolicy(
            f"{title}-alarms",
            arn=self.topic.arn,
            policy=policy.document(
                policy.may_publish("cloudwatch.amazonaws.com", self.topic.arn, account)
            ),
            opts=child,
        )
        if email:
            aws.sns.TopicSubscription(
                f"{title}-alarms",
                topic=self.topic.arn,
                protocol="email",
                endpoint=email,
                opts=child,
            )
        self.alarms = {
            alarm.name: self._alarm(f"{title}-{alarm.name}", alarm, stack)
            for alarm in alarms(
                stack=stack,
                notify=notify_function.name,
                flush=flush_function.name,
                failed=queues.failed.name,
                flush_minutes=flush.minutes,
                max_segments_per_day=max_segments_per_day,
            )
        }
        self.dashboard = aws.cloudwatch.Dashboard(
            title,
            dashboard_name=notify_function.arn.apply(lambda arn: names.of_dashboard(stack, arn)),
            dashboard_body=policy.json(
                body(
                    stack=stack,
                    region=notify_function.arn.apply(names.region),
                    functions={"notify": notify_function.name, "flush": flush_function.name},
                    log_groups=[
                        notify_function.logging_config.log_group,
                        flush_function.logging_config.log_group,
                    ],
                    queues={"held": queues.held.name, "failed": queues.failed.name},
                    alarms=[alarm.arn for alarm in self.alarms.values()],
                    max_segments_per_day=max_segments_per_day,
                    has_routes=has_routes,
                    expects_logs=expects_logs,
                    looks_inside=looks_inside,
                )
            ),
            opts=child,
        )
        self.address = pulumi.Output.all(self.dashboard.dashboard_name, notify_function.arn).apply(
            lambda known: names.address_of_dashboard(*known)
        )
        self.register_outputs({"topic": self.topic.arn})

    def _alarm(self, name: str, alarm: Alarm, stack: str) -> aws.cloudwatch.MetricAlarm:
        """Declare one alarm.

        An alarm about missing data sends an e-mail when CloudWatch has too little data. In the
        state ALARM it would be on from the deployment to the first flush.
        """
        on = [self.topic.arn]
        return aws.cloudwatch.MetricAlarm(
            name,
            alarm_description=alarm.description(stack),
            namespace=alarm.namespace,
            metric_name=alarm.metric,
            dimensions=alarm.dimensions,
            statistic=alarm.statistic,
            period=alarm.period_minutes * 60,
            evaluation_periods=alarm.missing_periods or alarm.evaluation_periods,
            datapoints_to_alarm=alarm.missing_periods or alarm.datapoints_to_alarm,
            comparison_operator="LessThanThreshold"
            if alarm.missing_periods
            else "GreaterThanThreshold",
            threshold=1 if alarm.missing_periods else alarm.threshold,
            treat_missing_data="missing" if alarm.missing_periods else "notBreaching",
            alarm_actions=on,
            insufficient_data_actions=on if alarm.missing_periods else [],
            opts=pulumi.ResourceOptions(parent=self),
        )
