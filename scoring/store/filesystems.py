"""The one place that turns a URI and the AWS environment into a filesystem and storage options."""

import os
from pathlib import Path
from typing import Any

import fsspec

from scoring.errors import BadStore
from scoring.secrets import holds_secrets
from scoring.store.retries import patience_s


def filesystem(uri: str) -> tuple[Any, str]:
    """Return the filesystem of `uri` and the path in it.

    Credentials and endpoint come from the environment (`AWS_ACCESS_KEY_ID`,
    `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, `AWS_ENDPOINT_URL`).

    Raises:
        BadStore: the scheme is unknown, its driver refuses the URI, or the URI holds credentials.
    """
    uri = uri.removeprefix("file://")
    if holds_secrets(uri):
        raise BadStore(f"expected credentials in the environment, got some in {uri!r}")
    if "://" not in uri:
        return fsspec.filesystem("file"), str(Path(uri).expanduser().absolute())
    try:
        if uri.startswith("s3://"):
            from scoring.store.s3 import PatientS3  # half a second that local stores need not wait

            # A cached listing would hide files that another job has just written.
            fs = PatientS3(use_listings_cache=False, client_kwargs=_s3_client_options())
            path = str(fs._strip_protocol(uri))
        else:
            fs, path = fsspec.core.url_to_fs(uri)
    except Exception as error:  # some drivers connect right away
        raise BadStore(f"expected a local path or s3://bucket/prefix, got {uri!r}") from error
    return fs, path.rstrip("/")


def delta_options(uri: str) -> dict[str, str]:
    """Return deltalake's storage options for `uri`, from the same environment as `filesystem`."""
    if not uri.startswith("s3://"):
        return {}
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    options = {name: os.environ[name] for name in names if name in os.environ}
    options["AWS_REGION"] = _region()
    # Only the time limits how often it tries again, as with `filesystem`.
    options |= {"max_retries": "1000", "retry_timeout": f"{max(1, round(patience_s()))}s"}
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        options["AWS_ENDPOINT_URL"] = endpoint
        options["AWS_ALLOW_HTTP"] = str(endpoint.startswith("http://")).lower()
    return options


def _region() -> str:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def _s3_client_options() -> dict[str, str]:
    options = {"region_name": _region()}
    if endpoint := os.environ.get("AWS_ENDPOINT_URL"):
        options["endpoint_url"] = endpoint
    return options
