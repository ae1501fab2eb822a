"""Score a dataset: ingest what is new, train and score what is missing, publish in one commit.

    protoscore rescore --dataset fashion_mnist --data-root DIR --store s3://bucket/prefix

Whatever ends a night early, the same command continues it.

Exit codes: 0 published, or nothing to do; 2 bad input; 3 partly published, and the rest is named;
4 nothing published; 5 the machine or the store failed: run the same command again; 130 and 143
stopped by Ctrl-C and SIGTERM.
"""

import sys
from collections.abc import Sequence

from ray_jobs.jobs.meter import Meter
from ray_jobs.night import describe
from ray_jobs.night.request import check
from ray_jobs.night.run import run_night
from ray_jobs.terminal.console import command_line
from ray_jobs.terminal.night_flags import NightFlags, parse
from ray_jobs.terminal.say import say


def main(argv: Sequence[str] | None = None) -> int:
    """Run a night; return the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    flags, configs = parse(args, "protoscore rescore", __doc__ or "", NightFlags)
    command = command_line("rescore", args)
    meter = Meter(flags.caps)
    request = check(flags, configs, writable=True)
    if published := run_night(request, command, meter):
        for text in filter(None, (describe.verdict(published), describe.try_next(published))):
            say(text, flush=True)
    return 0
