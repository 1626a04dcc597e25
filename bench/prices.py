"""The prices, each with its source.

In dollars, for AWS's region us-east-1 and texts in the US, without free tiers and taxes. Read in
November 2026.
"""

from local.segments import SEGMENT_DOLLARS

SEEN = "November 2026"

LAMBDA_REQUEST = 0.20 / 1e6
LAMBDA_GB_SECOND = 0.0000133334  # arm64
"""https://aws.amazon.com/lambda/pricing/"""

DYNAMODB_WRITE = 0.625 / 1e6
DYNAMODB_READ = 0.125 / 1e6
"""https://aws.amazon.com/dynamodb/pricing/on-demand/"""

SQS_REQUEST = 0.40 / 1e6
"""https://aws.amazon.com/sqs/pricing/"""

LOGS_GB = 0.50
METRIC_MONTH = 0.30  # for the hours with data; each value of a dimension is another metric
ALARM_MONTH = 0.10
DASHBOARD_MONTH = 3.00
"""https://aws.amazon.com/cloudwatch/pricing/"""

KMS_KEY_MONTH = 1.00
"""https://aws.amazon.com/kms/pricing/"""

SCHEDULER_CALL = 1.00 / 1e6
"""https://aws.amazon.com/eventbridge/pricing/"""

S3_GET = 0.40 / 1e6
"""https://aws.amazon.com/s3/pricing/"""

SECRET_MONTH = 0.40
"""https://aws.amazon.com/secrets-manager/pricing/"""

EC2_HOUR = 0.0168  # t4g.small
"""https://aws.amazon.com/ec2/pricing/on-demand/"""

TWILIO_SEGMENT = SEGMENT_DOLLARS
"""Source: see `local.segments`."""
