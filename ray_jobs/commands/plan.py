"""`protoscore plan`: what `rescore` would do with the same flags, and what it would cost."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ray_jobs.night.forecast import forecast
from ray_jobs.night.request import check
from ray_jobs.night.run import assess_and_plan, look_ahead
from ray_jobs.night.trial import try_out
from ray_jobs.terminal.night_flags import NightFlags, parse
from ray_jobs.terminal.say import say


@dataclass(frozen=True, kw_only=True)
class PlanFlags(NightFlags):
    """The flags of `plan`."""

    trial: bool = False
    """Time a few batches of each net on this machine, rather than trust earlier nights."""


def main(argv: Sequence[str] | None = None) -> int:
    """Print what `rescore` would do with the same flags, and make nothing."""
    args = list(sys.argv[1:] if argv is None else argv)
    flags, configs = parse(args, "protoscore plan", main.__doc__ or "", PlanFlags)
    request = check(flags.night(), configs, writable=False)
    ahead = forecast(*assess_and_plan(request))
    say(look_ahead(ahead, try_out(ahead) if flags.trial else None))
    return 0
