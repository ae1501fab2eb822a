"""Where exports write: over nothing that is not theirs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scoring.errors import UserError

_RECORD = "protoscore.json"


def free_path(output: str, *, folder: bool, overwrite: bool) -> Path:
    """Where --output says, if a file or folder may be written there.

    Raises:
        UserError: something is there, and is not ours to replace; or there is no folder to hold it.
    """
    path = Path(output).expanduser().resolve()  # a link stays a link
    if not path.parent.is_dir():
        raise UserError(f"--output: expected a path in a folder that exists, got {output!r}")
    if path.exists():
        if not overwrite:
            raise UserError(f"--output: expected a new path, or --overwrite, got {output!r}")
        if not ((path / _RECORD).is_file() if folder else path.is_file()):
            wanted = f"a folder with a {_RECORD}" if folder else "a file"
            raise UserError(f"--overwrite: expected {wanted} to replace, got {output!r}")
    return path


def write_record(folder: Path, about: Mapping[str, Any]) -> None:
    """Say in a folder what it was made of, which marks it as ours."""
    (folder / _RECORD).write_text(json.dumps(about, indent=1) + "\n")
