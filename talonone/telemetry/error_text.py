"""Errors of libraries in one line, for a message, a log, or the detail of a dead letter."""

LONGEST = 500
"""Characters of an error's text. Some libraries put whole documents into theirs."""

_TRACEBACK = "Traceback (most recent call last):"


def error_line(error: BaseException, longest: int = LONGEST) -> str:
    """The type of an error and at most `longest` characters of its text; the type alone where it has no text.

    An error of gRPC is named by its status instead, such as UNAVAILABLE: all have the same type.

    >>> error_line(ValueError("no time:\\n  '25:00'"))
    "ValueError: no time: '25:00'"
    """
    status = _grpc(error)
    name, text = (type(error).__name__, error_text(error, longest)) if status is None else status
    text = in_one_line(text, longest)
    return f"{name}: {text}" if text else name


def error_text(error: BaseException, longest: int = LONGEST) -> str:
    """The text of an error without its type, at most `longest` characters. The result is empty if the error has no
    text, or if reading the text fails.

    Google's clients put the text without status and details into `message`. Its first line says what is wrong, and
    the others are for support. Where a runner passes an error on, the text holds the traceback of a worker, whose
    last line says what happened.
    """
    try:
        return in_one_line(_text(error), longest)
    except Exception:  # the error class of a user may do anything in its `__str__`
        return ""


def in_one_line(text: str, longest: int = LONGEST) -> str:
    """`text` with single spaces for line ends and other white space, as UTF-8 can carry it; at most `longest`
    characters."""
    return " ".join(text.split())[:longest].encode("utf-8", "replace").decode()


def _text(error: BaseException) -> str:
    message = getattr(error, "message", None)
    if isinstance(message, str) and message.strip():
        return message.strip().splitlines()[0]
    text = str(error)
    return text.strip().splitlines()[-1] if _TRACEBACK in text else text


def _grpc(error: BaseException) -> tuple[str, str] | None:
    try:
        code, details = getattr(error, "code", None), getattr(error, "details", None)
        if not callable(code) or not callable(details):
            return None
        status = code()
        return str(getattr(status, "name", status)), str(details() or "")
    except Exception:  # not gRPC's methods, but those of another class with the same names
        return None
