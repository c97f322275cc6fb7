"""Which of the app's doors are open to whom."""

import json

import function_app


def test_every_http_trigger_but_the_channels_wants_a_function_key() -> None:
    levels: dict[str, str] = {}
    for function in function_app.app.get_functions():
        for binding in json.loads(function.get_function_json())["bindings"]:
            if binding["type"] == "httpTrigger":
                levels[binding["route"]] = binding["authLevel"]
    assert levels.pop("messages") == "ANONYMOUS"
    assert "notifications" in levels
    assert set(levels.values()) == {"FUNCTION"}
