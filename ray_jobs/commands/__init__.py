"""One module a command: its flags, and the one call they turn into."""

COMMANDS = {
    "rescore": "train, score and publish whatever is missing",
    "submit": "run a command on a cluster, follow it, end as it ends",
    "plan": "print what rescore would do, and make nothing",
    "ingest": "bring a dataset into the store",
    "query": "SQL over the published tables",
    "outliers": "the least prototypical examples of a metric",
    "prototypes": "the most prototypical examples of a metric",
    "explain": "which training examples explain a prediction",
    "diff": "what moved between two nights",
    "history": "the nights of a store",
    "status": "live and recent jobs: stage, progress, ETA",
    "vacuum": "remove what nothing published needs any more",
    "evaluate": "what scores are good for: errors, noise, outliers",
    "export": "scores and images for other tools",
    "report": "write a folder of pages to look at",
}
"""Each is a module of `ray_jobs.commands` with `main(argv) -> int`."""
