"""POST /api/messages: what is answered, and what is stored, whatever goes wrong."""

import asyncio
import json
import logging
from datetime import timedelta
from typing import Any

import azure.durable_functions as df
import azure.functions as func
import pytest

from adapters.in_memory import InMemoryServices
from agent import asking
from agent.approval import approval_id_of
from agent.incoming import LARGEST_TURN, parse_incoming
from agent.jobs import running
from agent.ports import Caller, ChannelBusy, KeysUnavailable, NotAuthenticated, NotAuthorized
from tests.unit.triggers.recording_client import Died, RecordingDurableClient
from tests.unit.turns import TENANT, incoming_activity
from triggers import messages

ANSWER_TURN = messages.answer_turn.build().get_user_function().client_function
THANKS = "Thank you for ordering a laptop. I will keep you posted with updates."


class Endpoint:
    """The trigger, its ports in memory."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.services = InMemoryServices()
        self.durable_client = RecordingDurableClient()
        self.durable_client.begin = lambda job: running.begin(job, services=self.services)
        monkeypatch.setattr(messages, "services", lambda: self.services)

    async def post(self, body: Any, *, authorization: str | None = None) -> func.HttpResponse:
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Authorization": authorization} if authorization else {}
        request = func.HttpRequest("POST", "/api/messages", headers=headers, body=raw)
        response: func.HttpResponse = await ANSWER_TURN(req=request, durable_client=self.durable_client)
        return response


@pytest.fixture
def endpoint(monkeypatch: pytest.MonkeyPatch) -> Endpoint:
    return Endpoint(monkeypatch)


def reason(response: func.HttpResponse) -> str:
    assert response.mimetype == "application/problem+json"
    problem = json.loads(response.get_body())
    assert problem["status"] == response.status_code
    return str(problem["detail"])


async def test_a_turn_is_answered_with_200_and_its_job_has_the_turns_key_as_instance_id(
    endpoint: Endpoint,
) -> None:
    body = json.dumps(incoming_activity()).encode()
    response = await endpoint.post(body)
    assert (response.status_code, response.get_body()) == (200, b"")
    assert endpoint.durable_client.started == [parse_incoming(body)[1].turn_key]
    assert endpoint.durable_client.given[0]["job"]["kind"] == "order_laptop"
    assert endpoint.services.connector.said == [THANKS]


class TestApproval:
    """A job that asks first, and the answer to it."""

    async def begin(self, endpoint: Endpoint) -> str:
        """The licence's job, whose first step is to ask."""
        endpoint.durable_client.begin = lambda job: asking.ask(job, services=endpoint.services)
        assert (await endpoint.post(incoming_activity(text="I need a licence"))).status_code == 200
        (job_id,) = endpoint.durable_client.started
        return job_id

    async def answer(self, endpoint: Endpoint, job_id: str) -> dict[str, Any]:
        data = {"approval": {"id": approval_id_of(job_id), "answer": "approved"}}
        value = {"action": {"type": "Action.Execute", "verb": "approve", "data": data}}
        invoke = incoming_activity(id="i-2", type="invoke", name="adaptiveCard/action", value=value)
        response = await endpoint.post(invoke)
        assert response.status_code == 200
        body: dict[str, Any] = json.loads(response.get_body())
        return body

    async def test_it_has_an_orchestration_of_its_own(self, endpoint: Endpoint) -> None:
        await endpoint.post(incoming_activity())
        await endpoint.post(incoming_activity(id="i-2", text="I need a licence"))
        assert endpoint.durable_client.orchestrators == ["follow_up", "approval"]

    async def test_an_answer_is_written_down_and_wakes_it(self, endpoint: Endpoint) -> None:
        job_id = await self.begin(endpoint)
        body = await self.answer(endpoint, job_id)
        assert body["type"] == "application/vnd.microsoft.card.adaptive"
        assert endpoint.durable_client.raised == [(job_id, "answered")]

    async def test_it_is_cancelled_while_it_waits(self, endpoint: Endpoint) -> None:
        job_id = await self.begin(endpoint)
        await endpoint.post(incoming_activity(id="i-2", text="cancel"))
        assert endpoint.durable_client.raised == [(job_id, "cancel")]

    async def test_an_answer_to_one_that_has_ended_is_told_so(self, endpoint: Endpoint) -> None:
        job_id = await self.begin(endpoint)
        endpoint.durable_client.statuses[job_id] = df.OrchestrationRuntimeStatus.Failed
        assert "has ended already" in (await self.answer(endpoint, job_id))["value"]


async def test_an_invoke_is_answered_in_the_body(endpoint: Endpoint) -> None:
    action = {"action": {"type": "Action.Execute", "data": {"job": "order_laptop"}}}
    invoke = incoming_activity(type="invoke", name="adaptiveCard/action", value=action)
    response = await endpoint.post(invoke)
    assert response.mimetype == "application/json"
    assert json.loads(response.get_body())["value"] == THANKS
    assert (await endpoint.post(invoke)).get_body() == response.get_body()


@pytest.mark.parametrize(
    "body", [b"", b"{", b"{}", b'{"type": "\xff"}', {**incoming_activity(), "attachments": "secret"}]
)
async def test_what_is_no_activity_is_400(endpoint: Endpoint, body: Any) -> None:
    response = await endpoint.post(body)
    assert response.status_code == 400
    assert "secret" not in reason(response)
    assert endpoint.durable_client.started == []


@pytest.mark.parametrize(
    ("error", "status"),
    [(NotAuthenticated("no"), 401), (NotAuthorized("no"), 403), (KeysUnavailable("no"), 503)],
)
async def test_a_turn_that_is_not_let_in_begins_nothing_and_the_log_says_why(
    endpoint: Endpoint, error: Exception, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    class Closed:
        async def authenticate(self, authorization: str | None) -> Caller:
            raise error

    endpoint.services.token_validator = Closed()  # type: ignore[assignment]
    with caplog.at_level("INFO"):
        response = await endpoint.post(incoming_activity())
    assert (response.status_code, reason(response)) == (status, "no")
    assert f"A turn was refused: {type(error).__name__}: no" in caplog.text
    assert endpoint.durable_client.started == []
    assert endpoint.services.connector.calls == []


class Strict:
    """Knows one caller by name, and lets in one tenant; ``admitted`` are those who were let in."""

    def __init__(self) -> None:
        self.admitted: list[frozenset[str]] = []

    async def authenticate(self, authorization: str | None) -> Caller:
        if authorization != "Bearer known":
            raise NotAuthorized("a stranger")
        return self

    def admit(self, *, channel_id: str, service_url: str, tenants: frozenset[str]) -> None:
        if tenants != {TENANT}:
            raise NotAuthorized("another tenant")
        self.admitted.append(tenants)


async def test_a_strangers_body_is_not_read(endpoint: Endpoint) -> None:
    endpoint.services.token_validator = Strict()  # type: ignore[assignment]
    response = await endpoint.post(b"{")
    assert (response.status_code, reason(response)) == (403, "a stranger")
    assert (await endpoint.post(b"{", authorization="Bearer known")).status_code == 400


@pytest.mark.parametrize(
    ("conversation_tenant", "data_tenant", "status"),
    [
        (TENANT, None, 200),
        (TENANT.upper(), TENANT, 200),
        (None, TENANT, 200),
        (TENANT, "another", 403),
        ("another", TENANT, 403),
        ("another", None, 403),
        (None, None, 403),
    ],
)
async def test_the_turns_tenant_is_told_to_the_door_wherever_it_stands(
    endpoint: Endpoint, conversation_tenant: str | None, data_tenant: str | None, status: int
) -> None:
    endpoint.services.token_validator = Strict()  # type: ignore[assignment]
    known = incoming_activity()
    turn = incoming_activity(
        conversation={**known["conversation"], "tenantId": conversation_tenant},
        channelData={"tenant": {"id": data_tenant}} if data_tenant else {},
    )
    response = await endpoint.post(turn, authorization="Bearer known")
    assert response.status_code == status
    assert len(endpoint.durable_client.started) == (status == 200)


async def test_a_tenant_that_a_client_wrote_into_its_activity_lets_nobody_in(endpoint: Endpoint) -> None:
    endpoint.services.token_validator = Strict()  # type: ignore[assignment]
    forged = incoming_activity(channelId="webchat", channelData={"tenant": {"id": TENANT}})
    assert (await endpoint.post(forged, authorization="Bearer known")).status_code == 403


async def test_neither_a_token_nor_what_users_say_is_logged(
    endpoint: Endpoint, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    endpoint.services.token_validator = Strict()  # type: ignore[assignment]
    endpoint.services.connector.errors.append(ChannelBusy("429", retry_after=timedelta(seconds=9)))
    said = incoming_activity(text="order a laptop for my unsayable cousin")
    statuses = [
        (await endpoint.post(turn, authorization=authorization)).status_code
        for turn, authorization in (
            (said, "Bearer stolen"),
            (said, "Bearer known"),
            ({**said, "conversation": {"id": "c", "tenantId": "another"}}, "Bearer known"),
            ({**said, "conversation": "unsayable"}, "Bearer known"),
        )
    ]
    assert statuses == [403, 502, 403, 400]
    assert "did not get through" in caplog.text
    for kept in ("stolen", "Bearer", "unsayable"):
        assert kept not in caplog.text


async def test_what_is_too_large_is_413_whoever_sends_it(endpoint: Endpoint) -> None:
    endpoint.services.token_validator = Strict()  # type: ignore[assignment]
    known = incoming_activity(text="")
    fits = LARGEST_TURN - len(json.dumps(known).encode())
    for authorization in ("Bearer known", None):
        response = await endpoint.post(incoming_activity(text="x" * (fits + 1)), authorization=authorization)
        assert response.status_code == 413
        assert str(LARGEST_TURN) in reason(response)
    as_large = await endpoint.post(incoming_activity(text="x" * fits), authorization="Bearer known")
    assert as_large.status_code == 200


async def test_a_reply_that_does_not_get_through_is_502_and_the_next_delivery_gives_it(
    endpoint: Endpoint,
) -> None:
    endpoint.services.connector.errors.append(ChannelBusy("429", retry_after=timedelta(seconds=9)))
    assert (await endpoint.post(incoming_activity())).status_code == 502
    assert (await endpoint.post(incoming_activity())).status_code == 200
    assert len(endpoint.durable_client.started) == 1
    assert endpoint.services.connector.said == [THANKS]


async def test_a_turn_that_takes_too_long_is_503_and_the_next_delivery_goes_on(
    endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = endpoint.services.connector.send

    async def hang(*_: Any, **__: Any) -> Any:
        await asyncio.Event().wait()

    endpoint.services.turn_budget = timedelta(0)
    monkeypatch.setattr("agent.turn_budget.SHORTEST", timedelta(0))
    monkeypatch.setattr("agent.turn_budget.AFTER_THE_REPLY", timedelta(milliseconds=20))
    endpoint.services.connector.send = hang  # type: ignore[method-assign]
    assert (await endpoint.post(incoming_activity())).status_code == 503
    endpoint.services.connector.send = send  # type: ignore[method-assign]
    assert (await endpoint.post(incoming_activity())).status_code == 200
    assert endpoint.services.connector.said == [THANKS]
    assert len(endpoint.durable_client.started) == 1


class TestDeath:
    """The process dies at each step of a turn; the channel delivers the turn again."""

    async def redeliver(self, endpoint: Endpoint) -> None:
        for _ in range(2):
            assert (await endpoint.post(incoming_activity())).status_code == 200
        assert len(endpoint.durable_client.started) == 1
        assert endpoint.services.connector.said == [THANKS]

    async def test_before_the_start(self, endpoint: Endpoint) -> None:
        start_new = endpoint.durable_client.start_new

        async def die(*_: Any) -> None:
            endpoint.durable_client.start_new = start_new  # type: ignore[method-assign]
            raise Died

        endpoint.durable_client.start_new = die  # type: ignore[assignment,method-assign]
        with pytest.raises(Died):
            await endpoint.post(incoming_activity())
        await self.redeliver(endpoint)

    async def test_after_the_start(self, endpoint: Endpoint) -> None:
        endpoint.durable_client.dies_after_start = True
        with pytest.raises(Died):
            await endpoint.post(incoming_activity())
        endpoint.durable_client.dies_after_start = False
        await self.redeliver(endpoint)


class TestCancel:
    """A user cancels their job; its orchestration is told so by an event."""

    async def say_cancel(self, endpoint: Endpoint, **fields: Any) -> str:
        response = await endpoint.post(incoming_activity(id="incoming-2", text="cancel", **fields))
        assert response.status_code == 200
        return endpoint.services.connector.texts[-1]

    async def test_a_cancelled_job_is_sent_the_event(self, endpoint: Endpoint) -> None:
        await endpoint.post(incoming_activity())
        assert "I am cancelling" in await self.say_cancel(endpoint)
        assert endpoint.durable_client.raised == [(endpoint.durable_client.started[0], "cancel")]

    async def test_a_job_that_has_ended_is_told_so(self, endpoint: Endpoint) -> None:
        await endpoint.post(incoming_activity())
        job_id = endpoint.durable_client.started[0]
        endpoint.durable_client.statuses[job_id] = df.OrchestrationRuntimeStatus.Terminated
        assert "has ended already" in await self.say_cancel(endpoint)

    async def test_a_job_of_which_the_host_knows_nothing_is_told_so(self, endpoint: Endpoint) -> None:
        await endpoint.post(incoming_activity())
        endpoint.durable_client.started.clear()
        assert "has ended already" in await self.say_cancel(endpoint)

    async def test_a_host_that_does_not_take_the_event_of_a_running_job_is_asked_again(
        self, endpoint: Endpoint
    ) -> None:
        await endpoint.post(incoming_activity())
        endpoint.durable_client.is_down = True
        with pytest.raises(Exception, match="No instance"):
            await self.say_cancel(endpoint)
        endpoint.durable_client.is_down = False
        assert "I am cancelling" in await self.say_cancel(endpoint)
        assert len(endpoint.durable_client.raised) == 1
