"""Which code outside protoscore may run as a net: the factories that the command line names.

Importing a module runs it, and the name of a net also stands in files that anyone may have written:
manifests of checkpoints, records of runs. A factory that only a file names is therefore never
looked for.

The allowed names stand in the environment, because workers import factories too.
"""

import json
import os
import sys
from collections.abc import Iterable
from importlib.machinery import PathFinder
from keyword import iskeyword

from scoring.errors import UserError

VARIABLE = "PROTOSCORE_ALLOWED_NETS"
"""Holds the folder of each allowed factory, as JSON: {"package.module:factory": "/folder"}."""


def allow_nets(names: Iterable[str]) -> None:
    """Allow the factories among `names`, names of nets on the command line, in all processes.

    A factory's folder is the first that holds its module: on the import path, or else the current
    one. It goes to the end of the import path, so nothing in it can stand in for another module.

    Raises:
        UserError: a name with a colon is no `package.module:factory`.
    """
    folders = _allowed()
    for name in names:
        if ":" in name:
            _check_form(name)
            folders[name] = _folder(name.partition(".")[0].partition(":")[0])
            _append(folders[name])
    if folders:
        os.environ[VARIABLE] = json.dumps(folders)


def forget_allowed_nets() -> None:
    """Allow no factory, as when a process starts."""
    os.environ.pop(VARIABLE, None)


def check_allowed(name: str) -> None:
    """Refuse a factory that the command line does not name; let its folder be imported from.

    Raises:
        UserError: the factory is not allowed, or the name is no `package.module:factory`.
    """
    _check_form(name)
    folders = _allowed()
    if name not in folders:
        raise UserError(
            f"expected --allow-nets {name} (a file names this net, and building it runs its code), "
            "got no such flag"
        )
    _append(folders[name])


def _allowed() -> dict[str, str]:
    folders: dict[str, str] = json.loads(os.environ.get(VARIABLE, "{}"))
    return folders


def _check_form(name: str) -> None:
    module, _, factory = name.partition(":")
    parts = [*module.split("."), factory]
    if not all(part.isidentifier() and not iskeyword(part) for part in parts):
        raise UserError(f"--net: expected package.module:factory, got {name!r}")


def _folder(package: str) -> str:
    """Return the folder that holds a package or module; "" if it is built in or nowhere."""
    for folder in (*sys.path, ""):  # "" means the current one
        if PathFinder.find_spec(package, [folder]):
            return os.path.abspath(folder)
    return ""


def _append(folder: str) -> None:
    if folder and folder not in sys.path:
        sys.path.append(folder)
