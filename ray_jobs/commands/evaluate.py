"""Puts published scores to the test, and writes what it finds to the table `evaluations`.

    protoscore evaluate deciles --store STORE --dataset NAME
    protoscore evaluate memorisation --dataset fashion_mnist --data-root DIR --store STORE

Those that train run nights of their own first, published as datasets of their own; the same command
again makes what is still missing.
"""

import shlex
import sys
from collections.abc import Sequence
from importlib import import_module

from scoring.errors import UnknownName

EVALUATIONS = {
    "deciles": "how often the classifier is wrong, by tenths of a metric",
    "correlations": "how metrics agree, overall and at the ends of each class",
    "sets": "memorized exceptions, uncommon submodes, canonical prototypes, and their clusters",
    "classes": "whether a metric ranks examples or whole classes",
    "slices": "what parts of a ranking are worth to train on",
    "stability": "how seeds, nets and batch sizes agree on a metric",
    "fleet": "how many runs make a ranking that holds",
    "memorisation": "whether metrics find labels that were changed on purpose",
    "debugging": "how soon flipped labels are found and mended, in the order of each metric",
    "ood": "whether metrics find corrupted images, beside novelty detectors (MNIST-C)",
    "representers": "how exactly shares make up a prediction, beside influence functions",
    "toy": "nets in the plane: VoG near the boundary; representers where influence says nothing",
}
"""Each a module of `ray_jobs.evaluations` with `main(argv, command) -> int`."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the evaluation that the first argument names; returns the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in {"-h", "--help"}:
        print(_help())
        return 0
    if args[0] not in EVALUATIONS:
        raise UnknownName("evaluate", args[0], EVALUATIONS)
    module = import_module(f"ray_jobs.evaluations.{args[0]}")
    code: int = module.main(args[1:], shlex.join(["protoscore", "evaluate", *args]))
    return code


def _help() -> str:
    lines = [f"  {name:<13} {summary}" for name, summary in EVALUATIONS.items()]
    return "\n".join(
        ["usage: protoscore evaluate <evaluation> [flags]", "", (__doc__ or "").strip(), "", *lines]
    )
