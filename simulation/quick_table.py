"""A table that is fast enough for millions of log files. It knows only the ledger's conditions.

It parses each update expression once. A Python function replaces each condition in `CONDITIONS`,
and all other conditions are refused. A test compares it with `simulation.table`, which evaluates
the expressions, over random operations of the ledger.
"""

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from handler.aws import AwsError
from handler.expected_logs import BEGIN_IF, IS_LATER, MISS_IF, SAME_SETTINGS, TELL_IF
from handler.ledger import REPORT_INDEX
from simulation.table import InvalidRequest

Item = dict[str, Any]
Values = Mapping[str, Any]
"""The values in an expression, and the names of attributes, by their placeholders."""


def _number(value: Mapping[str, str]) -> int:
    return int(value["N"])


def _add(item: Item, name: str, number: Mapping[str, str]) -> None:
    before = _number(item[name]) if name in item else 0
    item[name] = {"N": str(before + _number(number))}


_OR_DEFAULT = r"if_not_exists\(\w+, :\w+\)"


@functools.cache
def _changes(expression: str) -> list[tuple[str, str, str]]:
    """Read an update expression: each action with its attribute and value."""
    changes = []
    clauses = re.split(r"\b(SET|ADD|REMOVE)\b", expression)
    for action, clause in zip(clauses[1::2], clauses[2::2], strict=True):
        for one in re.split(r",(?![^(]*\))", clause):
            name, value = (
                {
                    "SET": rf"(#?\w+) = (:\w+|{_OR_DEFAULT})",
                    "ADD": r"(#?\w+) (:\w+)",
                    "REMOVE": r"(#?\w+)()",
                }[action],
                one.strip(),
            )
            found = re.fullmatch(name, value)
            if not found:
                raise InvalidRequest(f"It cannot read {expression}")
            changes.append((action, found[1], found[2]))
    return changes


def _apply(item: Item, expression: str, values: Values) -> None:
    before = dict(item)  # an expression reads the values before its changes
    for action, name, value in _changes(expression):
        attribute = values[name] if name.startswith("#") else name
        if action == "SET" and value.startswith(":"):
            item[attribute] = values[value]
        elif action == "SET":
            other, default = re.findall(r":?\w+", value)[1:]
            item[attribute] = before[other] if other in before else values[default]
        elif action == "ADD":
            _add(item, attribute, values[value])
        else:
            item.pop(attribute, None)


def _less(item: Item, name: str, than: Mapping[str, str]) -> bool:
    """Compare an attribute with a number. A missing attribute is never less."""
    return name in item and _number(item[name]) < _number(than)


def _more(item: Item, name: str, than: Mapping[str, str]) -> bool:
    return name in item and _number(item[name]) > _number(than)


def _is_free(item: Item, values: Values) -> bool:
    is_released = item.get("state") == values[":sending"] and item.get("lease") == values[":zero"]
    return not item or is_released


def _has_room(item: Item, values: Values) -> bool:
    burst = values["#burst"]
    return ("texts" not in item or _less(item, "texts", values[":per_hour"])) and (
        burst not in item or _less(item, burst, values[":at_once"])
    )


def _never_sent(item: Item, values: Values) -> bool:
    return not item or (item.get("state") == values[":sending"] and "attempt_at" not in item)


def _is_closed(item: Item, values: Values) -> bool:
    return item.get("attempt") == values[":last"] and "attempt_at" not in item


def _is_open(item: Item, values: Values) -> bool:
    return item.get("attempt") == values[":number"] and "attempt_at" in item


def _is_later(name: str, item: Item, values: Values) -> bool:
    is_same = "settings" not in item or item["settings"] == values[":settings"]
    return is_same and (name not in item or _less(item, name, values[":at"]))


def _is_missing(item: Item, values: Values) -> bool:
    return (
        item.get("settings") == values[":settings"]
        and ("missed" not in item or _less(item, "missed", values[":missed"]))
        and not _more(item, "last_at", values[":silent"])
    )


CONDITIONS: dict[str | None, Callable[[Item, Values], bool]] = {
    None: lambda _item, _values: True,
    # The ledger
    "attribute_not_exists(id) OR (#s = :sending AND lease = :zero)": _is_free,
    "(attribute_not_exists(texts) OR texts < :per_hour) AND "
    "(attribute_not_exists(#burst) OR #burst < :at_once)": _has_room,
    "#s = :sending": lambda item, values: item.get("state") == values[":sending"],
    "attribute_not_exists(id) OR #s <> :sent": lambda item, values: (
        item.get("state") != values[":sent"]
    ),
    "texts > :zero": lambda item, values: _more(item, "texts", values[":zero"]),
    "texts > :zero AND #burst > :zero": lambda item, values: (
        _more(item, "texts", values[":zero"]) and _more(item, values["#burst"], values[":zero"])
    ),
    # The attempts
    "attribute_not_exists(id)": lambda item, _values: not item,
    "attempt = :last AND attribute_not_exists(attempt_at)": _is_closed,
    "attempt = :number AND attribute_exists(attempt_at)": _is_open,
    "attribute_not_exists(id) OR (#s = :sending AND attribute_not_exists(attempt_at))": _never_sent,
    "attempt_at = :attempt_at": lambda item, values: (
        item.get("attempt_at") == values[":attempt_at"]
    ),
    # The expected logs
    **{
        f"{SAME_SETTINGS} AND {IS_LATER.format(kind)}": functools.partial(_is_later, f"{kind}_at")
        for kind in ("last", "small")
    },
    BEGIN_IF: lambda item, values: (
        "since" not in item or item.get("settings") != values[":settings"]
    ),
    MISS_IF: _is_missing,
    TELL_IF: lambda item, values: (
        item.get("settings") == values[":settings"] and item.get("missed") == values[":missed"]
    ),
    # The reports
    "attribute_exists(report)": lambda item, _values: "report" in item,
}

QUERY = "report = :due AND ask_at <= :now"


class QuickTable:
    """A table for the ledger's own requests, and for no others."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._items: dict[str, Item] = {}
        self._reports: dict[str, Item] = {}  # the items in the index
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
            InvalidRequest: The table does not know the expression.
        """
        return self._operations[operation](payload)

    def _holds(self, update: Any) -> bool:
        condition = update.get("ConditionExpression")
        _changes(update["UpdateExpression"])
        if condition not in CONDITIONS:
            raise InvalidRequest(f"CONDITIONS lack {condition}")
        item = self._items.get(update["Key"]["id"]["S"], {})
        return CONDITIONS[condition](item, _values(update))

    def _write(self, update: Any) -> None:
        id_ = update["Key"]["id"]["S"]
        item = self._items.setdefault(id_, {"id": {"S": id_}})
        _apply(item, update["UpdateExpression"], _values(update))
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
