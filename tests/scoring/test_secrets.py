import re

import pytest

from scoring.errors import UserError
from scoring.secrets import holds_secrets, without_secrets

SECRET = "wJalr/XUtn+FEMI"
WITH = (
    f"s3://AKIA:{SECRET}@bucket/train/*.parquet",
    "s3://AKIA:12345/wJalr@bucket/x",
    f"s3://AKIA:{SECRET}",
    f"https://user:{SECRET}@host:443/x",
    f"https://{SECRET.replace('/', '')}@host/x.git",
    f"https://host/x.parquet?X-Amz-Credential=AKIA%2F1&X-Amz-Signature={SECRET}",
    f"https://account.blob.core.windows.net/c/x?sv=2026&sig={SECRET}",
    f"simplecache::https://user:{SECRET}@host/x",
    f"http://u:{SECRET}@h/a b",
)
WITHOUT = (
    "s3://bucket/prefix",
    "s3://bucket/train/part-?.parquet",
    "s3://bucket/label=cat/*.parquet",
    "s3://bucket/me@home.parquet",
    "http://head:8265",
    "ray://head:10001",
    "http://head:8265/jobs@today",
    "http://[::1]:8265/x",
    "/data/me@home/train.parquet",
    "expected a Ray job server like http://head:8265, got http://head:1 (ConnectionError)",
    "--store: expected a readable store, got 's3://bucket/x' (PermissionError), see a@b",
    "expected the cluster's token (RAY_AUTH_MODE=token and RAY_AUTH_TOKEN or RAY_AUTH_TOKEN_PATH)",
)


@pytest.mark.parametrize("uri", WITH)
def test_credentials_in_uris_are_found_and_struck_out(uri):
    assert holds_secrets(uri)
    for text in (uri, f"cannot list {uri!r} (OSError)", f"protoscore rescore --train '{uri}'"):
        struck = without_secrets(text)
        assert "***" in struck
        assert not re.search("wJalr|FEMI|XUtn|AKIA", struck)
        assert without_secrets(struck) == struck


@pytest.mark.parametrize("text", WITHOUT)
def test_other_text_stays_as_it_is(text):
    assert without_secrets(text) == text
    assert not holds_secrets(text)


@pytest.mark.parametrize(
    "name", ["aws_secret_access_key", "AWS_SESSION_TOKEN", "X-Amz-Signature", "password", "sig"]
)
def test_values_with_telling_names_are_struck_out(name):
    assert without_secrets(f"got {name}={SECRET}, sorry") == f"got {name}=*** sorry"


def test_what_the_environment_keeps_secret_is_struck_out(monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789")
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", "/home/me/token")
    monkeypatch.setenv("SHORT_TOKEN", "digits")
    said = without_secrets(f"{SECRET} hf_0123456789 /home/me/token digits")
    assert said == "*** *** /home/me/token digits"


def test_our_errors_never_hold_them():
    error = UserError(f"--train: cannot list 's3://AKIA:{SECRET}@bucket'")
    assert str(error) == "--train: cannot list 's3://***@bucket'"


@pytest.mark.parametrize("part", ["a", "://", "?a=", "://a:", "s3://a:", "sig="])
def test_long_texts_take_no_long_time(part):
    text = part * (100_000 // len(part))  # a pattern that looks back would take hours
    assert len(without_secrets(text)) <= len(text)
