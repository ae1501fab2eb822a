"""Times functions within a night that runs in this process."""

import io
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

from ray_jobs.cli import main

Counts = Callable[..., bool]
"""(arguments of a call) -> whether it counts."""


class Stopwatch:
    """Adds up the seconds of calls; a call within a timed one counts once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._inside = threading.local()
        self._adding = threading.Lock()

    @contextmanager
    def timing(
        self, functions: Iterable[tuple[Any, str]], counts: Counts = lambda *_: True
    ) -> Iterator[None]:
        """Time the calls that count of some functions, each named by its owner and its name."""
        with ExitStack() as patches:
            for owner, name in functions:
                timed = self._timed(getattr(owner, name), counts)
                patches.enter_context(patch.object(owner, name, timed))
            yield

    def _timed(self, function: Callable[..., Any], counts: Counts) -> Callable[..., Any]:
        def call(*args: object, **kwargs: object) -> Any:  # noqa: ANN401
            if getattr(self._inside, "yes", False) or not counts(*args):
                return function(*args, **kwargs)
            self._inside.yes, started = True, time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self._inside.yes = False
                with self._adding:
                    self.seconds += time.perf_counter() - started

        return call


def night(store: str, *flags: str) -> None:
    """Run a night on a store in a folder."""
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        code = main(["rescore", "--store", f"{store}/store", *flags])
    if code:
        raise RuntimeError(said.getvalue())


def jobs_in_process() -> Any:  # noqa: ANN401
    """Run jobs in this process, as tests do."""
    sys.path.append(str(Path(__file__).parent.parent / "tests" / "ray_jobs"))
    return import_module("in_process").jobs_in_process()
