"""Text from files and users, made fit for a terminal, a log line or a figure."""

import re

# Control characters (C0, C1 and the escapes that begin with them), ends of lines, marks that turn
# text around, and halves of characters that cannot be encoded.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)


def printable(text: str) -> str:
    """Escape what could move a cursor, break a line or turn text around."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape").decode(), text)


def printable_lines(text: str) -> str:
    """Escape the same in each line of a text."""
    return "\n".join(map(printable, text.split("\n")))
