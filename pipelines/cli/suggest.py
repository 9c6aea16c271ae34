"""What the user of a wrong command line probably meant."""

import re
from difflib import get_close_matches
from typing import Any

_NOT_ONE_OF = re.compile(r"'([^']*)' is not one of ('[^']*'(?:, '[^']*')*)\.")


def message_of(error: Any) -> str:
    """The message of an error about the command line, on one line, with the option or value that was meant.

    `error` is one of typer's usage errors. The likeliest option or value is suggested. A missing argument comes with
    the usage of the command.
    """
    message = " ".join(error.format_message().split())
    option, possible = getattr(error, "option_name", None), getattr(error, "possibilities", None)
    if option and possible:
        message = f"No such option: {option}.{_suggested(option, list(possible), '')}"
    if (match := _NOT_ONE_OF.search(message)) and "Did you mean" not in message:
        message += _suggested(match[1], re.findall(r"'([^']*)'", match[2]), "'")
    parameter, context = getattr(error, "param", None), getattr(error, "ctx", None)
    if message.startswith("Missing argument") and parameter is not None and context is not None:
        message += f" {' '.join(context.get_usage().split())}"
    return message


def _suggested(word: str, possible: list[str], quote: str) -> str:
    likely = get_close_matches(word, possible, 1, 0.65)  # the dashes are alike in all options
    return f" Did you mean {quote}{likely[0]}{quote}?" if likely else ""
