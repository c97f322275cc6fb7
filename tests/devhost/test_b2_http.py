"""Contract B2: HTTP triggers of a running host."""

import http.client

from tests.devhost.host_process import DevhostProcess, until


def test_a_route_gives_its_parameters_and_the_response_is_whole(everything: DevhostProcess) -> None:
    answer = everything.call("GET", "/api/HELLO/bob?q=1&q=2&empty=")
    assert (answer.status, answer.text) == (201, "hello from the settings, bob; 1,2")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-function"] == "hello"
    assert answer.cookies == ["a=1; Path=/", "b=2; Path=/"]
    assert everything.call("GET", "/api/hello").text == "hello from the settings, nobody; None"


def test_headers_have_lower_case_names_and_a_text_is_a_response(everything: DevhostProcess) -> None:
    answer = everything.call("PUT", "/api/echo", "body", {"X-Test": "t"})
    assert (answer.status, answer.text) == (200, "PUT t body")


def test_a_wrong_verb_and_an_unknown_route_are_404(everything: DevhostProcess) -> None:
    assert everything.call("DELETE", "/api/echo").status == 404
    assert everything.call("GET", "/api/unknown").status == 404
    assert everything.call("GET", "/hello").status == 404


def test_a_failing_function_is_500_and_tells_the_caller_nothing(everything: DevhostProcess) -> None:
    answer = everything.call("GET", "/api/fails")
    assert (answer.status, answer.body) == (500, b"")
    assert "ValueError: a secret in the message" in everything.log
    assert everything.call("GET", "/api/nothing").status == 500


def test_a_disabled_function_is_404(everything: DevhostProcess) -> None:
    assert everything.call("GET", "/api/switched-off").status == 404
    assert "Function switched_off is disabled." in everything.log


def test_a_chunked_body_arrives_empty_as_on_azure(everything: DevhostProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", everything.port, timeout=10)
    headers = {"X-Test": "t", "Transfer-Encoding": "chunked"}
    connection.request("POST", "/api/echo", iter([b"body"]), headers, encode_chunked=True)
    assert connection.getresponse().read() == b"POST t "
    connection.close()
    assert "A chunked request body is not handed to 'Functions.echo'" in everything.log


def test_the_log_says_when_a_function_begins_and_ends(everything: DevhostProcess) -> None:
    everything.call("GET", "/api/hello")
    until(lambda: "Executing 'Functions.hello' (Id=" in everything.log)
    until(lambda: "Executed 'Functions.hello' (Succeeded, Id=" in everything.log)
    assert "Differences from the real host:" in everything.log
    assert f"hello: [GET] http://localhost:{everything.port}/api/hello/{{name?}}" in everything.log


def test_a_response_that_http_cannot_carry_is_500(everything: DevhostProcess) -> None:
    for query in ("status=99", "status=600", "status=101", "status=-1", "status=200&X-A=a%0d%0ab"):
        answer = everything.call("GET", f"/api/answers?{query}")
        assert (query, answer.status, answer.body) == (query, 500, b"")
    until(lambda: "The response of 'Functions.answers' cannot be sent: its status is 600" in everything.log)


def test_a_function_cannot_break_the_framing_of_its_response(everything: DevhostProcess) -> None:
    for header in ("Content-Length=99", "content-length=1", "Transfer-Encoding=chunked"):
        answer = everything.call("GET", f"/api/answers?status=200&{header}")
        assert (answer.text, answer.headers["content-length"]) == ("body", "4")
        assert "transfer-encoding" not in answer.headers
    assert everything.call("GET", "/api/answers?status=204").body == b""
    assert everything.call("GET", "/api/answers?status=304").body == b""
