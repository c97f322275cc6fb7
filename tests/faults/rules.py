"""Every fault of the channel, each with the same chance, as rules of the test connector."""

from typing import Any

SENDS: list[dict[str, Any]] = [
    {"error": "Throttled", "retry_after": 1},
    {"error": "Throttled", "retry_after_date": 2},
    {"error": "Throttled"},
    {"error": "PreconditionFailed"},
    {"error": "MessageSizeTooBig"},
    {"error": "BadSyntax"},
    {"error": "BadArgument"},
    {"error": "Unauthorized"},
    {"error": "BotDisabledByAdmin"},
    {"error": "BotNotInConversationRoster"},
    {"error": "ConversationBlockedByUser"},
    {"error": "MessageWritesBlocked"},
    {"error": "ForbiddenOperationException"},
    {"error": "InvalidBotApiHost"},
    {"error": "NotEnoughPermissions"},
    {"error": "ConversationNotFound"},
    {"error": "ServiceError"},
    {"error": "ServiceError", "accepted": True},
    {"error": "BadGateway"},
    {"error": "BadGateway", "accepted": True},
    {"error": "ServiceUnavailable"},
    {"error": "GatewayTimeout", "accepted": True},
    {"cut": "before"},
    {"cut": "after"},
    {"cut": "mid-body"},
    {"delay": 1.5},
    {"delay_after": 1.5},
    {"delay_after": 9.0},  # longer than a send may last
    {"status": 202},  # empty
    {"status": 201, "body": {}},  # tells no id
    {"status": 302, "location": "http://127.0.0.1:9/"},
]
CREATIONS: list[dict[str, Any]] = [
    {"error": "Throttled", "retry_after": 1},
    {"error": "BadGateway"},
    {"error": "ServiceError", "accepted": True},
    {"error": "ForbiddenOperationException"},
    {"cut": "before"},
    {"cut": "after"},
]


def every_fault(*, chance: float, seed: int) -> list[dict[str, Any]]:
    """Rules by which a request has one of the faults with ``chance`` in all."""
    return [
        {
            "match": {
                "operation": operation,
                "probability": chance / len(effects),
                "seed": seed * 1000 + number,
            },
            "effect": effect,
        }
        for operation, effects in (("send", SENDS), ("create", CREATIONS))
        for number, effect in enumerate(effects)
    ]
