"""Names of queues, containers and blobs, and what the service refuses of them."""

import re

_NAME = re.compile(r"[a-z0-9](?!.*--)[a-z0-9-]{1,61}[a-z0-9]")
_OWN_CONTAINERS = ("$root", "$logs", "$web")
_LONGEST_BLOB_NAME = 1024
# A client takes them out of the URL: a name from a message could lead into another container.
_DOT_SEGMENTS = frozenset((".", ".."))


def is_queue_name(name: str) -> bool:
    """3 to 63 of a-z, 0-9 and single dashes; a dash neither first nor last."""
    return _NAME.fullmatch(name) is not None


def check_queue_name(name: str) -> None:
    """Raises ValueError when the service would refuse the name, which the host puts into lower case."""
    if not is_queue_name(name.lower()):
        raise ValueError(
            f"The queue name '{name}' is not valid: it takes 3 to 63 of a-z, 0-9 and single dashes."
        )


def split_blob_path(path: str) -> tuple[str, str]:
    """Container and name of the blob at `container/name`. Raises ValueError."""
    container, _, name = path.partition("/")
    if not container or not name:
        raise ValueError(f"Blob identifiers must be in the format 'container/blob', not '{path}'.")
    check_container_name(container)
    _check_blob_name(name)
    return container, name


def _check_blob_name(name: str) -> None:
    if len(name) > _LONGEST_BLOB_NAME:
        raise ValueError(f"The blob name has {len(name)} characters; {_LONGEST_BLOB_NAME} is the most.")
    if name.endswith((".", "/")) or "\\" in name:
        raise ValueError(f"The blob name '{name}' is not valid: it ends in '.' or '/', or has a backslash.")
    if not _DOT_SEGMENTS.isdisjoint(name.split("/")):
        raise ValueError(f"The blob name '{name}' is not valid: '.' and '..' are no parts of a path.")


def check_container_name(name: str) -> None:
    """Raises ValueError when the service would refuse the name."""
    if name not in _OWN_CONTAINERS and not _NAME.fullmatch(name):
        raise ValueError(
            f"The container name '{name}' is not valid: it takes 3 to 63 of a-z, 0-9 and single dashes."
        )
