"""Shards and trainings on a cluster: only this room imports Ray, so it sets Ray up here."""

import os

_SETTINGS = {
    # A job prints one line per stage and nothing else: no Tune banners, no trial loggers (each run
    # writes its own record), no usage statistics.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # it would turn Ctrl-C into failed runs
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_task_oom_retries": "6",  # by default for ever, and nobody would learn why
    # A Ray that is started here serves this machine alone, so its address is 127.0.0.1 and it
    # listens nowhere else. Ray has this switch for other systems, but it works on Linux too.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    # Else a driver below `uv run` would give workers the current folder as their working_dir.
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
}
for _name, _value in _SETTINGS.items():
    os.environ.setdefault(_name, _value)
