"""The body of a report: a JSON object that is small and not deep, or nothing."""

import pytest

from adapters.in_memory import SteppedClock
from agent.job_report import BadReport, JobReport, parse_content


def body_of(content: bytes) -> dict[str, object]:
    now = SteppedClock().now()
    return JobReport(job_id="job-1", name="progress", reported_at=now, content=content).body


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (b"", {}),
        (b" \r\n", {}),
        (b"{}", {}),
        (b'{"percent": 40}', {"percent": 40}),
        ('{"step": "ä\\u00e4"}'.encode(), {"step": "ää"}),
        (b'{"much": 123456789012345678901234567890}', {"much": 123456789012345678901234567890}),
        (b'{"a": 1, "a": 2}', {"a": 2}),
        (b"{" + b'"a":{' * 63 + b"}" * 64, None),
    ],
)
def test_a_json_object_or_nothing_is_a_report(sent: bytes, body: dict[str, object] | None) -> None:
    content = parse_content(sent)
    assert body is None or body_of(content) == body


@pytest.mark.parametrize(
    "sent",
    [
        b"secret",
        b"null",
        b"[]",
        b'"secret"',
        b"17",
        b'{"secret": }',
        b'{"secret": NaN}',
        b'{"secret": 1} {}',
        b'{"secret": "\xff"}',
        b"{'secret': 1}",
        b'\xef\xbb\xbf{"secret": 1}',
        b"\x00",
        b"{" + b'"secret":{' * 64 + b"}" * 65,
        b"[" * 16_000,
        b"percent=40",
    ],
)
def test_what_is_none_is_refused_without_a_word_of_it(sent: bytes) -> None:
    with pytest.raises(BadReport) as refused:
        parse_content(sent)
    assert "secret" not in str(refused.value)
