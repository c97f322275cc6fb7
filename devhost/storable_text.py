"""Text that every store takes, whatever the user's code put into it."""


def storable(text: str) -> str:
    """The text with a question mark for each lone surrogate, which UTF-8 cannot encode."""
    return text.encode("utf-8", "replace").decode()


def describe(error: BaseException | None) -> str:
    """`Type: message`, as the worker reports an error; also when the error cannot say its message."""
    try:
        message = str(error)
    except Exception as failure:  # noqa: BLE001 (a user's __str__ may raise anything)
        message = f"(its text cannot be read: {type(failure).__name__})"
    return storable(f"{type(error).__name__}: {message}")
