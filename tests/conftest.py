"""Fixtures that several folders of tests use."""

from pathlib import Path

import pytest
from s3_store import s3_gateway, s3_store

__all__ = ["s3_gateway", "s3_store", "store_uri"]


@pytest.fixture(params=["local", pytest.param("s3", marks=pytest.mark.s3)])
def store_uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A fresh store: once in a folder, once on a real S3 gateway."""
    if request.param == "s3":
        return str(request.getfixturevalue("s3_store"))
    return str(tmp_path / "store")
