"""One module per command: its flags, and the call that they turn into."""

COMMANDS = {
    "rescore": "train, score and publish what is missing",
    "plan": "show what rescore would do, without doing it",
    "submit": "run a command on a cluster and follow it to its end",
    "ingest": "bring a dataset into the store",
    "query": "run SQL on the published tables",
    "issues": "list the labels that are probably wrong",
    "outliers": "show the least prototypical examples",
    "prototypes": "show the most prototypical examples",
    "metrics": "list the metrics and what they are for",
    "explain": "find the training examples that explain a prediction",
    "check": "hold the newest night against expectations, for a scheduler",
    "diff": "compare two nights",
    "history": "list the nights of a store",
    "status": "list live and recent jobs with their progress",
    "verify": "check every file of a store for damage",
    "adopt": "mark a store that an earlier version made",
    "forget": "remove examples from a store for good",
    "vacuum": "remove files that nothing published needs",
    "evaluate": "test what the scores are good for",
    "study": "ask people which images are typical of their class",
    "review": "check labels by hand, and measure how many are wrong",
    "export": "write scores and examples for other tools",
    "report": "write a report to browse",
}
"""Modules of this package, each with `main(argv) -> int`."""
