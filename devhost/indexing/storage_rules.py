"""What the real host refuses about bindings to queues and blobs."""

from devhost.indexing.binding_expression import parse_expression
from devhost.indexing.function_binding import Binding
from devhost.storage.resource_names import check_container_name, check_queue_name, split_blob_path
from devhost.storage.storage_connection import check_connection


def check_storage_binding(binding: Binding) -> None:
    """Check the name and the connection of a binding to a queue or a blob; others pass. Raises ValueError."""
    if binding.type == "blobTrigger":
        raise ValueError(
            "devhost has no listener for the trigger type 'blobTrigger'; "
            "let a queue message name the blob, and read it with a blob input."
        )
    if binding.type in ("queueTrigger", "queue"):
        _check_queue(str(binding.properties.get("queueName", "")), takes_expressions=not binding.is_trigger)
    elif binding.type == "blob":
        _check_blob_path(str(binding.properties.get("path", "")))
    else:
        return
    check_connection(
        str(binding.properties.get("connection") or ""), "blob" if binding.type == "blob" else "queue"
    )


def _check_queue(name: str, *, takes_expressions: bool) -> None:
    literal = parse_expression(name).literal if takes_expressions else name
    if literal is not None:
        check_queue_name(literal)


def _check_blob_path(template: str) -> None:
    """Check a path that may hold expressions, as far as it is known now."""
    expression = parse_expression(template)
    if expression.literal is not None:
        split_blob_path(expression.literal)
        return
    container, slash, _ = expression.leading_text.partition("/")
    if slash:
        check_container_name(container)
