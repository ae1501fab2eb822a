"""Names that users may have, and that no page, table or terminal may trip over."""

NAMES = (
    "$$",
    r"$\frac",
    "<b>",
    "</script>",
    "two\nlines",
    "\u202eabc",
    "\u200fabc",
    "\U0001f600",
    "犬",
    "x" * 10_000,
    "../..",
    "a'b\"c`",
    "nul\x00",
    "\x1b]0;title\x07",
    "\x9b31m",
    "=1+1",
    "-x",
    "@x",
    "\tx",
    "_x",
    "%s{0}{{x}}",
    "-1",
)


def unprintable(text: str) -> set[str]:
    """Return the characters of a text that a terminal should never get."""
    return {c for c in text if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160)} | (
        set(text) & set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    )
