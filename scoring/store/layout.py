"""Where the artefact of a representer run lies, beside what every run has; free of torch."""


def weights_path(run: str) -> str:
    """The layer's weights."""
    return f"runs/{run}/layer.safetensors"


def evidence_path(run: str) -> str:
    """What was solved, and how exactly."""
    return f"runs/{run}/layer.json"
