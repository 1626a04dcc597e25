"""Answers that AWS never gives, but a proxy or an emulator may.

They are not in `test_aws.py`, because botocore's models check its requests and answers.
"""

import json
from typing import Any

import pytest

from handler.ledger import Claim, NotRecorded
from handler.notice import Notice
from handler.report_index import PendingReport, ReportIndex
from handler.table import Table
from simulation.http_server import Server
from simulation.samples import LIMITS, PHONE, log_file
from tests.unit.test_aws import calling, knowing, remembering


@pytest.mark.parametrize("body", [b"", b"{}", b'{"UnprocessedKeys": 7, "UnprocessedItems": 7}'])
def test_an_answer_without_dynamodbs_fields_confirms_nothing(server: Server, body: bytes) -> None:
    """Such an answer does not show that a text is new, or that an outcome is recorded."""
    server.body, notice = body, Notice(log_file(), PHONE)
    assert knowing(server).look_up([notice])[:2] == ({}, {notice.id})
    with pytest.raises(NotRecorded, match="1 texts: BatchWriteItem"):
        remembering(server).record_sent([notice.id], "SM1")


@pytest.mark.parametrize("id_", [{}, [], None, 7, "another"])
def test_a_malformed_unprocessed_key_leaves_the_text_unknown(server: Server, id_: object) -> None:
    notice = Notice(log_file(), PHONE)
    left = {"ledger": {"Keys": [{"id": {"S": id_}}]}}
    server.body = json.dumps({"Responses": {}, "UnprocessedKeys": left}).encode()
    assert knowing(server).look_up([notice])[:2] == ({}, {notice.id})


@pytest.mark.parametrize("at", ["", "soon", "-1", "1.5", "9" * 400, "9" * 5000, 7, None])
def test_a_malformed_time_delays_no_other_report(server: Server, at: object) -> None:
    items = [
        {"id": {"S": id_}, "sid": {"S": "SM1"}, "sent_at": {"N": sent_at}}
        for id_, sent_at in (("strange", at), ("fine", "5"))
    ]
    server.body = json.dumps({"Items": items}).encode()
    index = ReportIndex(Table(calling(server), "ledger"))
    assert index.due() == [PendingReport(id="fine", sid="SM1", sent_at=5)]


@pytest.mark.parametrize("hour", ["None", "ConditionalCheckFailed"])
@pytest.mark.parametrize(
    ("item", "claim"),
    [
        ({"state": {"S": "sending"}}, Claim.LEASED),
        ({"state": {"S": "sent"}}, Claim.DUPLICATE),
        ({"state": {"S": "held"}}, Claim.DUPLICATE),
        ({"state": {"S": "failed"}}, Claim.DUPLICATE),
        ({"state": {"S": "strange"}}, Claim.LEASED),
        ({"state": "sent"}, Claim.LEASED),
        ({}, Claim.LEASED),
        (None, Claim.LEASED),
    ],
)
def test_a_text_is_a_duplicate_only_if_the_ledger_holds_its_outcome(
    server: Server, item: Any, claim: Claim, hour: str
) -> None:
    """A duplicate is never sent. Without a known outcome, Lambda tries the event again."""
    reasons = [{"Code": "ConditionalCheckFailed", "Item": item}, {"Code": hour}]
    answer = {"__type": "TransactionCanceledException", "CancellationReasons": reasons}
    server.status, server.body = 400, json.dumps(answer).encode()
    assert remembering(server).claim(Notice(log_file(), PHONE), limits=LIMITS) is claim
