"""Our own loggers: what they write may be shown anywhere, whatever it quotes."""

import logging
import traceback

from scoring.printable import printable_lines
from scoring.secrets import without_secrets


def fit(text: str) -> str:
    """Return a text as it may be shown: without credentials, and with control characters escaped.

    Ends of lines stay.
    """
    return printable_lines(without_secrets(text))


def logger(name: str) -> logging.Logger:
    """Return a logger whose records are fit to be shown, tracebacks included."""
    log = logging.getLogger(name)
    if _make_fit not in log.filters:
        log.addFilter(_make_fit)
    return log


def _make_fit(record: logging.LogRecord) -> bool:
    record.msg, record.args = fit(record.getMessage()), ()
    if record.exc_info and record.exc_info[0]:
        record.exc_text = fit("".join(traceback.format_exception(*record.exc_info)).rstrip())
        record.exc_info = None
    return True
