"""A table that is quick enough for millions of log files: it knows the ledger's expressions.

It evaluates nothing, and refuses every expression that is not in its lists. A test compares it with
`simulation.table`, which evaluates them, over random operations of the ledger.
"""

from collections.abc import Callable, Mapping
from typing import Any

from handler.aws import AwsError
from handler.ledger import REPORT_INDEX
from simulation.table import InvalidRequest

Item = dict[str, Any]
Values = Mapping[str, Any]
"""The values in an expression, and the names of attributes, by their placeholders."""


def _number(value: Mapping[str, str]) -> int:
    return int(value["N"])


def _count(item: Item, values: Values) -> None:
    item["expires"] = values[":expires"]
    _add(item, "texts", values[":one"])


def _count_in_burst(item: Item, values: Values) -> None:
    _count(item, values)
    _add(item, values["#burst"], values[":one"])


def _uncount(item: Item, values: Values) -> None:
    _add(item, "texts", values[":less"])


def _uncount_in_burst(item: Item, values: Values) -> None:
    _uncount(item, values)
    _add(item, values["#burst"], values[":less"])


def _add(item: Item, name: str, number: Mapping[str, str]) -> None:
    before = _number(item[name]) if name in item else 0
    item[name] = {"N": str(before + _number(number))}


def _remove_report(item: Item, _: Values) -> None:
    item.pop("report", None)
    item.pop("ask_at", None)


def _less(item: Item, name: str, than: Mapping[str, str]) -> bool:
    """Compare an attribute. One that is missing is not less than any number."""
    return name in item and _number(item[name]) < _number(than)


def _more(item: Item, name: str, than: Mapping[str, str]) -> bool:
    return name in item and _number(item[name]) > _number(than)


CONDITIONS: dict[str | None, Callable[[Item, Values], bool]] = {
    None: lambda _item, _values: True,
    "attribute_not_exists(id) OR (#s = :sending AND lease < :now)": lambda item, values: (
        not item
        or (item.get("state") == values[":sending"] and _less(item, "lease", values[":now"]))
    ),
    "(attribute_not_exists(texts) OR texts < :per_hour) AND "
    "(attribute_not_exists(#burst) OR #burst < :at_once)": lambda item, values: (
        ("texts" not in item or _less(item, "texts", values[":per_hour"]))
        and (values["#burst"] not in item or _less(item, values["#burst"], values[":at_once"]))
    ),
    "#s = :sending": lambda item, values: item.get("state") == values[":sending"],
    "texts > :zero": lambda item, values: _more(item, "texts", values[":zero"]),
    "texts > :zero AND #burst > :zero": lambda item, values: (
        _more(item, "texts", values[":zero"]) and _more(item, values["#burst"], values[":zero"])
    ),
    "attribute_exists(report)": lambda item, _values: "report" in item,
}

UPDATES: dict[str, Callable[[Item, Values], None]] = {
    "SET #s = :sending, lease = :lease, expires = :expires": lambda item, values: item.update(
        state=values[":sending"], lease=values[":lease"], expires=values[":expires"]
    ),
    "SET expires = :expires ADD texts :one": _count,
    "SET expires = :expires ADD texts :one, #burst :one": _count_in_burst,
    "ADD texts :less": _uncount,
    "ADD texts :less, #burst :less": _uncount_in_burst,
    "SET #s = :value": lambda item, values: item.update(state=values[":value"]),
    "SET lease = :value": lambda item, values: item.update(lease=values[":value"]),
    "SET ask_at = :value": lambda item, values: item.update(ask_at=values[":value"]),
    "REMOVE report, ask_at": _remove_report,
}

QUERY = "report = :due AND ask_at <= :now"


class QuickTable:
    """A table for the ledger's own requests, and for no others."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._items: dict[str, Item] = {}
        self._reports: dict[str, Item] = {}  # what the index holds
        self._operations: dict[str, Callable[[Any], dict[str, Any]]] = {
            "BatchGetItem": self._batch_get,
            "BatchWriteItem": self._batch_write,
            "Query": self._query,
            "TransactWriteItems": self._transact_write,
            "UpdateItem": self._update,
        }

    @property
    def items(self) -> dict[str, Item]:
        """All items, by their ids."""
        return self._items

    def call(self, operation: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        """Answer one operation.

        Raises:
            AwsError: A condition does not hold.
            InvalidRequest: It does not know the expression.
        """
        return self._operations[operation](payload)

    def _holds(self, update: Any) -> bool:
        condition = update.get("ConditionExpression")
        if condition not in CONDITIONS or update["UpdateExpression"] not in UPDATES:
            raise InvalidRequest(f"CONDITIONS or UPDATES lack an expression of {update}")
        item = self._items.get(update["Key"]["id"]["S"], {})
        return CONDITIONS[condition](item, _values(update))

    def _write(self, update: Any) -> None:
        id_ = update["Key"]["id"]["S"]
        item = self._items.setdefault(id_, {"id": {"S": id_}})
        UPDATES[update["UpdateExpression"]](item, _values(update))
        if "report" not in item:
            self._reports.pop(id_, None)

    def _update(self, payload: Any) -> dict[str, Any]:
        if not self._holds(payload):
            raise AwsError("UpdateItem", "ConditionalCheckFailedException", {})
        self._write(payload)
        return {}

    def _transact_write(self, payload: Any) -> dict[str, Any]:
        updates = [item["Update"] for item in payload["TransactItems"]]
        reasons: list[dict[str, Any]] = []
        for update in updates:
            if self._holds(update):
                reasons.append({"Code": "None"})
                continue
            reason: dict[str, Any] = {"Code": "ConditionalCheckFailed"}
            if update.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD":
                reason["Item"] = dict(self._items[update["Key"]["id"]["S"]])
            reasons.append(reason)
        if any(reason["Code"] != "None" for reason in reasons):
            details = {"CancellationReasons": reasons}
            raise AwsError("TransactWriteItems", "TransactionCanceledException", details)
        for update in updates:
            self._write(update)
        return {}

    def _batch_write(self, payload: Any) -> dict[str, Any]:
        for request in payload["RequestItems"][self.name]:
            item = dict(request["PutRequest"]["Item"])
            id_ = item["id"]["S"]
            self._items[id_] = item
            if "report" in item:
                self._reports[id_] = item
            else:
                self._reports.pop(id_, None)
        return {"UnprocessedItems": {}}

    def _batch_get(self, payload: Any) -> dict[str, Any]:
        ids = [key["id"]["S"] for key in payload["RequestItems"][self.name]["Keys"]]
        found = [self._items[id_] for id_ in ids if id_ in self._items]
        return {"Responses": {self.name: found}, "UnprocessedKeys": {}}

    def _query(self, payload: Any) -> dict[str, Any]:
        if payload["KeyConditionExpression"] != QUERY or payload["IndexName"] != REPORT_INDEX:
            raise InvalidRequest(f"It knows only {QUERY}")
        values = payload["ExpressionAttributeValues"]
        found = [
            item
            for item in self._reports.values()
            if item["report"] == values[":due"]
            and _number(item["ask_at"]) <= _number(values[":now"])
        ]
        found.sort(key=lambda item: _number(item["ask_at"]))
        return {"Items": found[: payload["Limit"]]}


def _values(update: Any) -> Values:
    names = update.get("ExpressionAttributeNames", {})
    return {**update.get("ExpressionAttributeValues", {}), **names}
