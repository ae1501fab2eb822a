"""Test what scores are good for, and publish the findings in the table `evaluations`.

    protoscore evaluate deciles --store STORE --dataset NAME
    protoscore evaluate memorisation --dataset fashion_mnist --data-root DIR --store STORE

Some evaluations first train and score: memorisation, debugging, ood and stability run nights of
their own, which they publish as separate datasets. Whatever ends an evaluation early, the same
command continues it.
"""

import sys
from collections.abc import Sequence
from importlib import import_module

from ray_jobs.terminal.console import command_line
from ray_jobs.terminal.say import say
from scoring.errors import UnknownName

EVALUATIONS = {
    "deciles": "how often the classifier is wrong in each tenth of a ranking",
    "correlations": "how far metrics agree, overall and at the ends of each class",
    "sets": "memorized exceptions, uncommon submodes, canonical prototypes, and their clusters",
    "classes": "whether a metric ranks examples or whole classes",
    "slices": "how well nets learn from parts of a ranking",
    "stability": "how far a metric depends on seed, net and batch size",
    "fleet": "how many runs a stable ranking needs",
    "memorisation": "whether metrics find labels that were changed on purpose",
    "debugging": "how soon each metric finds flipped labels, and what fixing them gains",
    "ood": "whether metrics find corrupted images (MNIST-C), compared with novelty detectors",
    "representers": "how exactly shares add up to a prediction, compared with influence functions",
    "toy": "small nets in the plane: VoG near the boundary, representers next to influence",
}
"""Each a module of `ray_jobs.evaluations` with `main(argv, command) -> int`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the evaluation that the first argument names; return the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in {"-h", "--help"}:
        say(_help())
        return 0
    if args[0] not in EVALUATIONS:
        raise UnknownName("evaluate", args[0], EVALUATIONS)
    module = import_module(f"ray_jobs.evaluations.{args[0]}")
    code: int = module.main(args[1:], command_line("evaluate", args))
    return code


def _help() -> str:
    lines = [f"  {name:<13} {summary}" for name, summary in EVALUATIONS.items()]
    usage = "usage: protoscore evaluate <evaluation> [flags]"
    more = "protoscore evaluate <evaluation> --help lists an evaluation's flags."
    return "\n".join([usage, "", (__doc__ or "").strip(), "", "evaluations:", *lines, "", more])
