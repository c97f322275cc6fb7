"""How an instance looks to a client of the management API."""

from typing import Any

from devhost.durable.records import Instance
from devhost.durable.stored_json import json_token


def instance_view(instance: Instance, *, show_input: bool) -> dict[str, Any]:
    """The status body; times have second precision, and what is no JSON is shown as a string."""
    return {
        "name": instance.name,
        "instanceId": instance.instance_id,
        "runtimeStatus": instance.status.text,
        "input": json_token(instance.input_text) if show_input else None,
        "customStatus": json_token(instance.custom_status),
        "output": json_token(instance.output),
        "createdTime": instance.created[:19] + "Z",
        "lastUpdatedTime": instance.updated[:19] + "Z",
    }
