"""The JSON Schema of proactive messages in docs/ is the one that the code reads by."""

import json
from pathlib import Path

import jsonschema
import pytest

from agent.proactive_message import message_schema

PUBLISHED = Path(__file__).parents[3] / "docs" / "proactive-message.schema.json"


def test_the_published_schema_is_made_from_the_code() -> None:
    """Write it anew by: python -c 'import json; from agent.proactive_message import message_schema as s;
    print(json.dumps(s(), indent=2))' > docs/proactive-message.schema.json"""
    assert json.loads(PUBLISHED.read_text("utf-8")) == message_schema()


@pytest.mark.parametrize(
    ("to", "holds"),
    [
        ({"kind": "user", "tenantId": "t", "aadObjectId": "u"}, True),
        ({"kind": "conversation", "channelId": "msteams", "conversationId": "a:1"}, True),
        ({"kind": "user", "tenantId": "t"}, False),
        ({"kind": "everybody"}, False),
    ],
)
def test_the_schema_tells_messages_from_what_is_none(to: dict[str, str], holds: bool) -> None:
    validator = jsonschema.Draft202012Validator(message_schema())
    assert validator.is_valid({"deliveryId": "d-1", "to": to, "text": "hi"}) is holds
