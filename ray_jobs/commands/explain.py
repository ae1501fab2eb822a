"""Find the training examples that explain predictions: representer points (Yeh et al. 2018).

    protoscore explain --ids 17 42                 two test examples, drawn on a page
    protoscore explain --misclassified             every test example that the net gets wrong
    protoscore explain --confused cat dog          what makes cats look like dogs
    protoscore explain                             every test example

A prediction is split into shares, one per training example: positive shares are excitatory,
negative shares inhibitory. The strongest of both go to the table `representers`. The layer at rest
that they come from goes to `representer_models`, with a measure of how exactly shares add up.
"""

import sys
from collections.abc import Sequence

from ray_jobs.explanations.explain_flags import ExplainFlags
from ray_jobs.explanations.explain_plan import plan_explanations
from ray_jobs.explanations.explain_show import show
from ray_jobs.explanations.make import explain
from ray_jobs.terminal.console import command_line, parse_flags
from scoring.allowed_nets import allow_nets


def main(argv: Sequence[str] | None = None) -> int:
    """Make what is missing, publish it and show it; return the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    flags = parse_flags(ExplainFlags, args, "protoscore explain", __doc__)
    flags.check()
    allow_nets(flags.allow_nets)
    plan = plan_explanations(flags)
    command = command_line("explain", args)
    show(plan, flags, explain(plan, flags.machine, command))
    return 0
