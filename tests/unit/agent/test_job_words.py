"""Which words ask for the state of one's jobs, and which to cancel one."""

import pytest

from agent.job_words import JobCommand, job_command

STATUS = JobCommand(asks="status")


@pytest.mark.parametrize(
    "text",
    [
        "status",
        "STATUS?",
        "Status, please!",
        "my orders",
        "My Jobs",
        "orders",
        "Please show me my orders.",
        "Hi, could you show me all my jobs?",
        "what's the status of my laptop order?",
        "What\u2019s my status",
        "What is the status?",
        "can I see my orders",
        "I'd like to see my orders, thank you",
        "my orders, please; I lost track",
    ],
)
def test_the_state_of_jobs_is_asked_for_in_any_case_and_politeness(text: str) -> None:
    assert job_command(text) == STATUS


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("cancel", set()),
        ("Cancel!", set()),
        ("CANCEL IT", set()),
        ("Hello, could you please cancel my order? Thanks", set()),
        ("oh wait, cancel that", set()),
        ("I want to cancel my jobs", set()),
        ("cancel, I need no laptop", set()),
        ("please cancel everything", set()),
        ("cancel the order because I want a notebook", set()),
        ("cancel my laptop order", {"laptop"}),
        ("cancel: order a laptop", set()),
        ("Cancel order #1292, please", {"1292"}),
        ("cancel the meeting with Bob", {"meeting", "with", "bob"}),
    ],
)
def test_cancelling_is_asked_for_in_any_case_and_politeness(text: str, named: set[str]) -> None:
    assert job_command(text) == JobCommand(asks="cancel", named=frozenset(named))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("try again", set()),
        ("Please try again!", set()),
        ("Could you try it again, please?", set()),
        ("retry", set()),
        ("Retry my order", set()),
        ("try to order a laptop again", {"laptop"}),
        ("retry; I still need it", set()),
    ],
)
def test_trying_again_is_asked_for_in_any_case_and_politeness(text: str, named: set[str]) -> None:
    assert job_command(text) == JobCommand(asks="again", named=frozenset(named))


@pytest.mark.parametrize(
    "text", ["try", "again", "try this", "try again to find a restaurant", "retry the build", "once more"]
)
def test_other_words_do_not_ask_to_try_again(text: str) -> None:
    assert job_command(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "please",
        "?!",
        "order a laptop",
        "I want a laptop",
        "don't cancel my order",
        "do not cancel",
        "never cancel it",
        "please don't cancel",
        "how do I cancel?",
        "cancellation policy",
        "I cancelled it",
        "what is the weather in my order of things",
        "my status symbol is a yacht",
        "get me a laptop",
        "order",
        "job",
        "hello",
    ],
)
def test_other_words_are_no_command(text: str) -> None:
    assert job_command(text) is None
