"""Which of the app's doors are open to whom."""

import json

import function_app


def test_every_http_trigger_wants_a_function_key_but_those_that_check_signatures_themselves() -> None:
    levels: dict[str, str] = {}
    for function in function_app.app.get_functions():
        for binding in json.loads(function.get_function_json())["bindings"]:
            if binding["type"] == "httpTrigger":
                levels[binding["route"]] = binding["authLevel"]
    assert levels.pop("messages") == "ANONYMOUS"
    assert levels.pop("jobs/{jobId}/events/{name}") == "ANONYMOUS"
    assert "notifications" in levels
    assert set(levels.values()) == {"FUNCTION"}
