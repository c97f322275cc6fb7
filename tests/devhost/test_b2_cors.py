"""Contract B2 and B6, CORS: `--cors`, `--cors-credentials` and the same in local.settings.json."""

import json
from pathlib import Path

import azure.functions as func
import pytest

from devhost.errors import HostStartError
from devhost.http.cors import CorsPolicy
from tests.devhost.conftest import StartHost
from tests.devhost.host_process import Answer, DevhostProcess
from tests.devhost.served_functions import http_function, serving
from tests.devhost.written_app import ONE, write_app

ONE_ORIGIN = CorsPolicy(["https://a.example/"], allows_credentials=False)
TWO = CorsPolicy(["https://a.example", " http://localhost:3000 "], allows_credentials=True)
ALL = CorsPolicy(["*"], allows_credentials=False)

PREFLIGHT = {
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "content-type, x-own",
}


async def hello(req: func.HttpRequest) -> str:
    return str(req.method)


async def headers_of(
    policy: CorsPolicy, method: str, origin: str | None, path: str = "/api/hello", **more: str
) -> tuple[int, dict[str, str]]:
    given = {**({"Origin": origin} if origin else {}), **more}
    async with serving(http_function(hello, methods=["GET", "OPTIONS"]), cors=policy) as served:
        status, headers = await served.headers(method, path, headers=given)
        kept = ("access-control-", "vary")
        return status, {n.lower(): v for n, v in headers.items() if n.lower().startswith(kept)}


async def test_an_allowed_origin_is_named_in_the_answer() -> None:
    assert await headers_of(ONE_ORIGIN, "GET", "https://a.example") == (
        200,
        {"access-control-allow-origin": "https://a.example"},
    )
    assert await headers_of(TWO, "GET", "http://localhost:3000") == (
        200,
        {
            "access-control-allow-origin": "http://localhost:3000",
            "access-control-allow-credentials": "true",
            "vary": "Origin",
        },
    )


@pytest.mark.parametrize(
    "origin",
    [None, "https://b.example", "https://a.example.evil", "http://a.example", "https://a.example:8443"],
)
async def test_another_origin_gets_the_answer_without_a_word_about_origins(origin: str | None) -> None:
    assert await headers_of(ONE_ORIGIN, "GET", origin) == (200, {})


async def test_a_star_is_every_origin() -> None:
    expected = {"access-control-allow-origin": "*"}
    assert await headers_of(ALL, "GET", "https://whoever.example") == (200, expected)
    assert await headers_of(ALL, "GET", "https://whoever.example", "/api/nothing") == (404, expected)
    assert await headers_of(ALL, "GET", "https://whoever.example", "/") == (200, expected)


async def test_no_origin_is_let_to_devhosts_own_page() -> None:
    for path in ("/devhost", "/DevHost/api/functions"):
        assert await headers_of(ALL, "GET", "https://whoever.example", path) == (404, {})
        assert await headers_of(ALL, "OPTIONS", "https://whoever.example", path, **PREFLIGHT) == (404, {})


@pytest.mark.derived
async def test_a_star_within_an_origin_is_no_wildcard() -> None:
    policy = CorsPolicy(["https://*.example"], allows_credentials=False)
    assert await headers_of(policy, "GET", "https://a.example") == (200, {})


async def test_a_preflight_is_answered_by_the_host() -> None:
    assert await headers_of(ONE_ORIGIN, "OPTIONS", "https://a.example", **PREFLIGHT) == (
        204,
        {
            "access-control-allow-origin": "https://a.example",
            "access-control-allow-methods": "PUT",
            "access-control-allow-headers": "content-type, x-own",
        },
    )
    assert await headers_of(ONE_ORIGIN, "OPTIONS", "https://b.example", **PREFLIGHT) == (204, {})


async def test_an_options_request_that_is_no_preflight_reaches_the_function() -> None:
    expected = {"access-control-allow-origin": "https://a.example"}
    assert await headers_of(ONE_ORIGIN, "OPTIONS", "https://a.example") == (200, expected)
    assert await headers_of(ONE_ORIGIN, "OPTIONS", None, **PREFLIGHT) == (200, {})


async def test_without_a_policy_nothing_is_said_about_origins() -> None:
    async with serving(http_function(hello, methods=["GET"])) as served:
        status, headers = await served.headers("GET", "/api/hello", headers={"Origin": "https://a.example"})
        assert (status, "Access-Control-Allow-Origin" in headers) == (200, False)
        preflight = {"Origin": "https://a.example", **PREFLIGHT}
        assert (await served.headers("OPTIONS", "/api/hello", headers=preflight))[0] == 404


@pytest.mark.derived
def test_credentials_for_every_origin_are_refused() -> None:
    with pytest.raises(HostStartError, match="credentials cannot be allowed for every origin"):
        CorsPolicy(["*"], allows_credentials=True)


def from_origin(host: DevhostProcess, origin: str) -> Answer:
    return host.call("GET", "/api/one", headers={"Origin": origin})


def test_origins_of_local_settings_are_replaced_by_those_of_the_command(
    start_host: StartHost, tmp_path: Path
) -> None:
    app = write_app(tmp_path / "app", ONE)
    section = {"CORS": "https://a.example,https://b.example", "CORSCredentials": True}
    settings = {"IsEncrypted": False, "Values": {"FUNCTIONS_WORKER_RUNTIME": "python"}, "Host": section}
    (app / "local.settings.json").write_text(json.dumps(settings))
    host = start_host(app, place=tmp_path).wait_until_up()
    assert from_origin(host, "https://b.example").headers["access-control-allow-credentials"] == "true"
    host.stop()
    host = start_host(app, place=tmp_path, arguments=("start", "--cors", "https://c.example")).wait_until_up()
    assert "access-control-allow-origin" not in from_origin(host, "https://b.example").headers
    answer = from_origin(host, "https://c.example")
    assert answer.headers["access-control-allow-origin"] == "https://c.example"
    assert answer.text == "one"
