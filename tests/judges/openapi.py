"""Check requests and their answers against Twilio's OpenAPI description."""

import re
import urllib.parse
from typing import Any

import requests
from openapi_core import Config, OpenAPI
from openapi_core.contrib.requests import RequestsOpenAPIRequest, RequestsOpenAPIResponse
from openapi_core.exceptions import OpenAPIError

from tests.judges import tools

MESSAGES = "/2010-04-01/Accounts/{AccountSid}/Messages.json"
MESSAGE = "/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json"

_DATE = r"^[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000$"


class Judge:
    """Twilio's description of its Messages API, for a server at another address.

    It is stricter than Twilio: it objects to names that Twilio does not describe, and to answers
    that lack a field.
    """

    def __init__(self, url: str) -> None:
        """Read the description.

        Args:
            url: The address of the server.
        """
        described = tools.twilio_openapi("api_v2010")
        self._paths = {path: described["paths"][path] for path in (MESSAGES, MESSAGE)}
        for path in self._paths.values():
            path["servers"] = [{"url": url}]
            for operation in (path[method] for method in ("get", "post") if method in path):
                operation["responses"] = _strict(operation["responses"])
                # This description leaves errors out. They have one form in all of Twilio's APIs.
                operation["responses"]["default"] = {
                    "description": "An error",
                    "content": {"application/json": {"schema": _strict(error())}},
                }
        self.parameters = set(_form(self._paths[MESSAGES])["properties"])
        self.filters = {
            parameter["name"]
            for parameter in self._paths[MESSAGES]["get"]["parameters"]
            if parameter["in"] == "query"
        }
        whole = {**described, "paths": self._paths, "components": _strict(described["components"])}
        self._openapi = OpenAPI.from_dict(
            whole,
            # Twilio's description breaks some of OpenAPI's own rules.
            config=Config(spec_validator_cls=None),  # type: ignore[arg-type]  # None is documented
        )

    def of_request(self, request: requests.PreparedRequest) -> list[str]:
        """Return the objections to a request."""
        url = urllib.parse.urlsplit(str(request.url))
        is_list = request.method == "GET" and url.path.endswith("/Messages.json")
        form = request.body if isinstance(request.body, str) else ""
        # The library ignores names that it does not know, as Twilio does.
        objections = [
            f"there is no parameter {name}"
            for names, known in (
                (url.query, self.filters if is_list else set()),
                (form, self.parameters),
            )
            for name, _ in urllib.parse.parse_qsl(names, keep_blank_values=True)
            if name not in known
        ]
        try:
            self._openapi.validate_request(RequestsOpenAPIRequest(request))
        except OpenAPIError as error:
            objections.append(_said(error))
        return objections

    def of_answer(self, answer: requests.Response) -> list[str]:
        """Return the objections to an answer."""
        try:
            self._openapi.validate_response(
                RequestsOpenAPIRequest(answer.request), RequestsOpenAPIResponse(answer)
            )
        except OpenAPIError as error:
            return [_said(error)]
        return []


def error() -> dict[str, Any]:
    """Return Twilio's schema of an error."""
    described = tools.twilio_openapi("voice_v2")
    schema: dict[str, Any] = described["components"]["schemas"][
        "voice.v2.configuration.TwilioServiceErrorResponse"
    ]
    return schema


def _form(path: dict[str, Any]) -> dict[str, Any]:
    content = path["post"]["requestBody"]["content"]
    schema: dict[str, Any] = content["application/x-www-form-urlencoded"]["schema"]
    return schema


def _strict(described: Any) -> Any:
    """Require all properties of each object, no others, and Twilio's form of dates."""
    if isinstance(described, list):
        return [_strict(item) for item in described]
    if not isinstance(described, dict):
        return described
    schema = {key: _strict(value) for key, value in described.items()}
    if schema.get("type") == "object" and isinstance(schema.get("properties"), dict):
        schema |= {"required": list(schema["properties"]), "additionalProperties": False}
    if schema.get("format") == "date-time-rfc-2822":
        schema["pattern"] = _DATE
    if schema.get("format") == "uri":
        # The addresses in Twilio's answers are relative, like those in its examples.
        schema["format"] = "uri-reference"
    return schema


def _said(error: BaseException) -> str:
    """Return the message of an error with the messages of its causes."""
    causes = [str(error)]
    while error.__cause__ is not None:
        error = error.__cause__
        causes.append(str(error))
    return re.sub(r"\s+", " ", "; ".join(causes))
