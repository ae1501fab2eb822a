"""Where exports write, without replacing anything that is not an export."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scoring.errors import UserError
from scoring.store.whole_files import check_writable

_RECORD = "protoscore.json"


def free_path(output: str, *, folder: bool, overwrite: bool) -> Path:
    """Return the path that --output names, if an export may be written there.

    Args:
        output: as the user typed it.
        folder: whether the export is a folder.
        overwrite: whether it may replace an earlier export.

    Raises:
        UserError: the path exists and may not be replaced, or its parent folder does not exist
            or is read-only.
    """
    path = Path(output).expanduser().resolve()  # replace what a link points to
    if not path.parent.is_dir():
        raise UserError(f"--output: expected a path in a folder that exists, got {output!r}")
    check_writable(path.parent, "--output", output)
    if path.exists():
        if not overwrite:
            raise UserError(f"--output: expected a new path, or --overwrite, got {output!r}")
        if not ((path / _RECORD).is_file() if folder else path.is_file()):
            wanted = f"a folder with a {_RECORD}" if folder else "a file"
            raise UserError(f"--overwrite: expected {wanted} to replace, got {output!r}")
    return path


def write_record(folder: Path, record: Mapping[str, Any]) -> None:
    """Record in a folder what the export was made of, which also marks it as an export."""
    (folder / _RECORD).write_text(json.dumps(record, indent=1) + "\n")
