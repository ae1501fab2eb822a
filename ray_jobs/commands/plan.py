"""`protoscore plan`: what `rescore` would do with the same flags, and what it would cost."""

import sys
from collections.abc import Sequence

from ray_jobs.night import describe
from ray_jobs.night.forecast import forecast
from ray_jobs.night.request import check
from ray_jobs.night.run import assess_and_plan
from ray_jobs.terminal.night_flags import NightFlags, parse
from ray_jobs.terminal.say import say


def main(argv: Sequence[str] | None = None) -> int:
    """Print what `rescore` would do with the same flags, and make nothing."""
    args = list(sys.argv[1:] if argv is None else argv)
    flags, configs = parse(args, "protoscore plan", main.__doc__ or "", NightFlags)
    request = check(flags, configs, writable=False)
    say(describe.forecast_table(forecast(*assess_and_plan(request))))
    return 0
