"""One run of an activity function, and the event that its orchestration gets for it."""

import json
from datetime import datetime

from azure.functions.meta import Datum

from devhost.durable.history import Event, EventType, event
from devhost.durable.http_call import HttpCallFailed
from devhost.durable.records import ActivityWork
from devhost.invocation.invoker import InvocationResult
from devhost.storable_text import storable


def activity_value(input_text: str | None) -> Datum:
    """Trigger value from the stored one-element array: a string as its content, else compact JSON."""
    elements = json.loads(input_text) if input_text else []
    value = elements[0] if elements else None
    text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
    return Datum(text, "string")


def completed_event(work: ActivityWork, result: InvocationResult, now: datetime) -> Event:
    """TaskCompleted or TaskFailed for one run."""
    if result.error is None:
        value = result.returned.value if result.returned else None
        value = storable(value) if isinstance(value, str) else value
        return event(EventType.TASK_COMPLETED, now, TaskScheduledId=work.task_id, Result=value)
    return failed_event(work, result.error_text, result.stack, now)


def answered_event(work: ActivityWork, answer: str, now: datetime) -> Event:
    """TaskCompleted for a request of call_http."""
    return event(EventType.TASK_COMPLETED, now, TaskScheduledId=work.task_id, Result=answer)


def unanswered_event(work: ActivityWork, failure: HttpCallFailed, now: datetime) -> Event:
    """TaskFailed for a request of call_http: the bare reason, and the exception as .NET serialises it."""
    details = {"$type": failure.kind, "ClassName": failure.kind, **_exception_members(str(failure), None)}
    return event(
        EventType.TASK_FAILED,
        now,
        TaskScheduledId=work.task_id,
        Reason=str(failure),
        Details=json.dumps(details, ensure_ascii=False),
        FailureDetails=None,
    )


def failed_event(work: ActivityWork, error_text: str, stack: str, now: datetime) -> Event:
    """TaskFailed with the reason and details that the extension writes."""
    inner = {
        "$type": "Microsoft.Azure.WebJobs.Script.Workers.Rpc.RpcException, Microsoft.Azure.WebJobs.Script",
        "ClassName": "Microsoft.Azure.WebJobs.Script.Workers.Rpc.RpcException",
        **_exception_members(f"Result: Failure\nException: {error_text}\nStack: {stack}", None),
    }
    details = {
        "$type": "System.Exception, System.Private.CoreLib",
        "ClassName": "System.Exception",
        **_exception_members(f" {error_text}", inner),
    }
    return event(
        EventType.TASK_FAILED,
        now,
        TaskScheduledId=work.task_id,
        Reason=f"Activity function '{work.name}' failed:  {error_text}",
        Details=json.dumps(details, ensure_ascii=False),
        FailureDetails=None,
    )


def _exception_members(message: str, inner: object) -> dict[str, object]:
    return {
        "Message": message,
        "Data": None,
        "InnerException": inner,
        "HelpURL": None,
        "StackTraceString": None,
        "RemoteStackTraceString": None,
        "RemoteStackIndex": 0,
        "ExceptionMethod": None,
        "HResult": -2146233088,
        "Source": None,
        "WatsonBuckets": None,
    }
