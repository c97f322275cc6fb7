"""What the connector answers, its errors by name (Teams documentation, "Status code responses")."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """One HTTP answer."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


def json_answer(status: int, value: Any, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps(value).encode(), headers or {})


def error_answer(
    status: int, code: str, message: str = "", headers: Mapping[str, str] | None = None
) -> Answer:
    return json_answer(status, {"error": {"code": code, "message": message}}, headers)


# Blocked or uninstalled: the true code is JSON inside the message.
_WRITES_BLOCKED = json.dumps(
    {"subCode": "MessageWritesBlocked", "details": "The thread is blocked for messages.", "errorCode": 209}
)

# Name: status, the code told, the message told.
ERRORS: dict[str, tuple[int, str, str]] = {
    "ActivityNotFoundInConversation": (404, "ActivityNotFoundInConversation", "No such activity."),
    "BadArgument": (400, "BadArgument", "An argument is not valid."),
    "BadGateway": (502, "BadGateway", ""),
    "BadSyntax": (400, "BadSyntax", "The request is not well-formed."),
    "BotDisabledByAdmin": (403, "BotDisabledByAdmin", "The tenant admin disabled this bot."),
    "BotNotInConversationRoster": (403, "BotNotInConversationRoster", "The bot is not in the conversation."),
    "BotNotRegistered": (401, "BotNotRegistered", "No registration is found for this bot."),
    "ContentStreamNotAllowed": (403, "ContentStreamNotAllowed", "Content stream is not allowed."),
    "ConversationBlockedByUser": (403, "ConversationBlockedByUser", "The user blocked the conversation."),
    "ConversationNotFound": (404, "ConversationNotFound", "Conversation not found."),
    "ForbiddenOperationException": (403, "ForbiddenOperationException", "The app is not installed there."),
    "GatewayTimeout": (504, "GatewayTimeout", ""),
    "InvalidBotApiHost": (403, "InvalidBotApiHost", "The bot belongs to another cloud's host."),
    "MessageSizeTooBig": (413, "MessageSizeTooBig", "The message is too large."),
    "MessageWritesBlocked": (403, "Forbidden", _WRITES_BLOCKED),
    "NotEnoughPermissions": (403, "NotEnoughPermissions", "The bot lacks a permission."),
    "PreconditionFailed": (412, "PreconditionFailed", "Another operation came between."),
    "ServiceError": (500, "ServiceError", ""),
    "ServiceUnavailable": (503, "ServiceUnavailable", ""),
    "Throttled": (429, "Throttled", "Too many requests."),
    "Unauthorized": (401, "Unauthorized", "Authorization has been denied."),
}

_NAME_OF_STATUS = {
    400: "BadSyntax",
    401: "Unauthorized",
    404: "ConversationNotFound",
    412: "PreconditionFailed",
    413: "MessageSizeTooBig",
    429: "Throttled",
    500: "ServiceError",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "GatewayTimeout",
}


def named_error(name: str, message: str | None = None, headers: Mapping[str, str] | None = None) -> Answer:
    """The error of ERRORS with that name; another message, where one is given."""
    status, code, usual = ERRORS[name]
    return error_answer(status, code, usual if message is None else message, headers)


def error_of_status(status: int, headers: Mapping[str, str] | None = None) -> Answer:
    """What usually comes with a status; without a body for a status of which that is not known."""
    name = _NAME_OF_STATUS.get(status)
    return named_error(name, headers=headers) if name else Answer(status, b"", headers or {})
