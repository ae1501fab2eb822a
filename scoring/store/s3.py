"""s3fs that asks a store again if it does not answer, for a stated time and then no longer.

Every request of s3fs goes through one method, so those of files that are open for reading are
covered too. botocore's own retries are off; s3fs's, a few within two seconds, count as one try.
"""

import asyncio
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError, NoCredentialsError, ParamValidationError
from fsspec.asyn import sync_wrapper
from s3fs import S3FileSystem

from scoring.errors import Outage
from scoring.logs import logger
from scoring.store.retries import patience_s, pauses

_NEVER = (NoCredentialsError, ParamValidationError)
_MAY_PASS = {"SlowDown", "RequestTimeout", "RequestTimeTooSkewed", "Throttling", "TooManyRequests"}
_log = logger(__name__)
_SAID_AFTER_S = 5.0  # of pauses: shorter failures are nobody's business


class PatientS3(S3FileSystem):  # type: ignore[misc] # it ships no types
    """S3, by requests that are tried again for `patience_s` seconds."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        once = {"retries": {"total_max_attempts": 1, "mode": "standard"}}
        super().__init__(*args, config_kwargs=once, **kwargs)

    async def _call_s3(self, method: str, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        seconds = patience_s()
        waits, waited, said = pauses(seconds), 0.0, False
        while True:
            try:
                return await super()._call_s3(method, *args, **kwargs)
            except Exception as error:
                if not may_pass(error):
                    raise
                pause = next(waits, None)
                if pause is None:
                    raise Outage(
                        f"the object storage did not answer ({reason(error)}), tried for "
                        f"{seconds:g} s; run the same command again when it does"
                    ) from error
                if waited > _SAID_AFTER_S and not said:
                    said = True
                    why = reason(error)
                    _log.warning("waiting for the object storage (%s), %g s", why, seconds)
            waited += pause
            await asyncio.sleep(pause)

    call_s3 = sync_wrapper(_call_s3)


def may_pass(error: BaseException) -> bool:
    """Return whether the same request may well succeed later."""
    if isinstance(error, _NEVER):
        return False
    answer = _answer(error)
    if answer is not None:
        status = answer.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or status == 429 or _code(answer) in _MAY_PASS
    # Not the errors of files: those are a server's verdict, translated by s3fs.
    return isinstance(error, BotoCoreError | ConnectionError | TimeoutError | asyncio.TimeoutError)


def reason(error: BaseException) -> str:
    """Say in a word what happened; messages of drivers quote requests and signatures."""
    answer = _answer(error)
    return type(error).__name__ if answer is None else _code(answer)


def _answer(error: BaseException) -> ClientError | None:
    """Return a server's own error: s3fs makes an `OSError` of it."""
    cause = error if isinstance(error, ClientError) else error.__cause__
    return cause if isinstance(cause, ClientError) else None


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", "unknown"))
