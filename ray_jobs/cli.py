"""`protoscore <job>`: imports a job only when it is chosen, so that help and queries are quick."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.metadata import version

from ray_jobs.console import run_job

JOBS = {
    "rescore": ("ray_jobs.rescore:main", "train, score and publish whatever is missing"),
    "submit": ("ray_jobs.submit:main", "run a job on a cluster, follow it, end as it ends"),
    "plan": ("ray_jobs.rescore:plan", "print what rescore would do, and make nothing"),
    "ingest": ("ray_jobs.ingest:main", "bring a dataset into the store"),
    "query": ("ray_jobs.query:main", "SQL over the published tables"),
    "outliers": ("ray_jobs.extremes:outliers", "the least prototypical examples of a metric"),
    "prototypes": ("ray_jobs.extremes:prototypes", "the most prototypical examples of a metric"),
    "explain": ("ray_jobs.explain:main", "which training examples explain a prediction"),
    "diff": ("ray_jobs.diff:main", "what moved between two nights"),
    "history": ("ray_jobs.history:main", "the nights of a store"),
    "status": ("ray_jobs.status:main", "live and recent jobs: stage, progress, ETA"),
    "vacuum": ("ray_jobs.vacuum:main", "remove what nothing published needs any more"),
    "evaluate": ("ray_jobs.evaluate:main", "what scores are good for: errors, noise, outliers"),
    "export": ("ray_jobs.export:main", "scores and images for other tools"),
    "report": ("ray_jobs.report:main", "write a folder of pages to look at"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the job that the first argument names; returns the exit code."""
    args = list(sys.argv[1:] if argv is None else argv)
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())  # where `--net module:factory` looks, as under `python -m`
    if not args or args[0] in {"-h", "--help"}:
        print(_help())
        return 0
    if args[0] == "--version":
        print(f"protoscore {version('protoscore')}")
        return 0
    if args[0] not in JOBS:
        known = ", ".join(JOBS)
        print(f"protoscore: error: expected one of {known}, got {args[0]!r}", file=sys.stderr)
        return 2
    module, function = JOBS[args[0]][0].split(":")
    return run_job(getattr(import_module(module), function), args[1:])


def _help() -> str:
    lines = [f"  {name:<11} {summary}" for name, (_, summary) in JOBS.items()]
    return "\n".join(
        [
            "usage: protoscore <job> [flags]      (protoscore <job> --help lists a job's flags)",
            "",
            "Scores every example of a labelled dataset: how prototypical it is, and why.",
            "",
            "jobs:",
            *lines,
            "",
            "first time:  protoscore rescore        scores scikit-learn's digits into ./store",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
