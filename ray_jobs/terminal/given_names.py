"""Names and addresses that users give, checked before they become parts of paths and keys."""

import re

from scoring.data.only_classes import LONGEST_NAME, quoted_length
from scoring.errors import UserError
from scoring.secrets import holds_secrets


def check_name(flag: str, name: str) -> None:
    """Refuse the name of a dataset that is no single, plain part of a path.

    Raises:
        UserError: naming the flag.
    """
    if not re.fullmatch(r"\w[\w .-]*", name):
        raise UserError(f"{flag}: expected letters, digits and any of ' ._-', got {name!r}")
    check_length(flag, name)


def check_length(flag: str, name: str) -> None:
    """Refuse a name that is too long for a folder, once publishing has added to it.

    Raises:
        UserError: naming the flag.
    """
    if (length := quoted_length(name)) > LONGEST_NAME:
        raise UserError(f"{flag}: expected a name of at most {LONGEST_NAME} bytes, got {length}")


def refuse_secrets(flag: str, uri: str) -> None:
    """Refuse a URI that carries credentials: job records and logs would keep them.

    Raises:
        UserError: naming the flag.
    """
    if holds_secrets(uri):
        raise UserError(f"{flag}: expected credentials in the environment, got some in {uri!r}")
