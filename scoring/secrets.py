"""Credentials never leave the process: `without_secrets` strikes them out of any text.

It knows the passwords and signatures that URIs carry, values with telling names, and the values of
this process's own environment.
"""

import os
import re

STRUCK = "***"
"""Stands where a credential stood."""

_END = r"\s'\"`<>"  # ends a URI in a message or a command line
_PORT = r"\d{1,5}(?:[/?#\s'\")\],;]|$)"
# KEY:SECRET of a bucket, which has no port. A password may hold slashes, as those of AWS do.
_BUCKET = re.compile(
    rf"\b((?:s3a?|gs|gcs|az|abfss?)://)[^{_END}@/?#:]{{1,500}}:[^{_END}@]{{1,1000}}(@?)"
)
# user:password@ and token@ of a host.
_USER = re.compile(rf"(?<=://)[^{_END}@/?#:]{{0,1000}}(?::(?!{_PORT})[^{_END}@]{{0,1000}})?@")
# user:password without a host; not host:port, not [IPv6].
_NO_HOST = re.compile(rf"(?<=://)(?!\[)[^{_END}@/?#:]{{1,500}}:(?!{_PORT})[^{_END}@/?#]+")
# Whatever a URI asks with: a signed URI carries its credential there. A glob's ? has no = so soon.
_QUERY = re.compile(rf"(://[^{_END}?]{{0,1000}})\?(?=[\w.~%$-]{{1,100}}=)[^{_END}]*")
_NAMED = re.compile(
    r"""(?ix) \b
    ( x-amz-(?:signature|credential|security-token) | sig | signature | googleaccessid
    | aws_?(?:access_?key_?id|secret_?access_?key|session_?token)
    | (?:secret|access|account|api)[_-]?key | client[_-]?secret
    | (?:access|auth|session|security|bearer|sas)[_-]?token | token | password | passwd | pwd )
    = [^\s'"&]+"""
)
_SECRET_VARIABLE = re.compile(
    r"(?:^|_)(?:SECRET|TOKEN|PASSWORD|PASSWD|CREDENTIALS?|ACCESS_KEY|API_KEY|ACCOUNT_KEY)(?:_ID|_KEY)?$"
)
_SHORTEST = 12  # characters; a shorter value of the environment may be a common word


def without_secrets(text: str) -> str:
    """Return a text with every credential replaced by `STRUCK`."""
    text = _NAMED.sub(rf"\1={STRUCK}", _without_secrets_in_uris(text))
    for value in _environment():
        text = text.replace(value, STRUCK)
    return text


def holds_secrets(uri: str) -> bool:
    """Whether a URI carries credentials: a user, a password, or a query."""
    return _without_secrets_in_uris(uri) != uri


def _without_secrets_in_uris(text: str) -> str:
    if "://" not in text:
        return text
    text = _BUCKET.sub(rf"\1{STRUCK}\2", text)
    text = _USER.sub(f"{STRUCK}@", text)
    text = _NO_HOST.sub(STRUCK, text)
    return _QUERY.sub(rf"\1?{STRUCK}", text)


def _environment() -> list[str]:
    """Return the credentials in this process's environment, the longest first."""
    values = {
        value
        for name, value in os.environ.items()
        if len(value) >= _SHORTEST and _SECRET_VARIABLE.search(name)
    }
    return sorted(values, key=len, reverse=True)
