"""Offline, silent, all in the home: set before Prefect, torch and Hugging Face are imported."""

import os
from pathlib import Path

SILENT = {
    "DO_NOT_TRACK": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_DATASETS_DISABLE_PROGRESS_BARS": "1",
    "TQDM_DISABLE": "1",  # transformers draws one over a GGUF file that no setting of its own stops
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "TOKENIZERS_PARALLELISM": "false",
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_EPHEMERAL_ENABLED": "false",  # services/prefect.py starts the one there is
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
    "PREFECT_LOGGING_LEVEL": "CRITICAL",  # our own lines and error messages stand for it
    "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL",
    "PREFECT_SERVER_LOGGING_LEVEL": "CRITICAL",
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",
}


def prepare(home: Path, allow_download: bool = False) -> None:
    """Set what is not set: no telemetry, no downloads, Prefect's files under ``home``."""
    for name, value in SILENT.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("PREFECT_HOME", str((home / "prefect").resolve()))
    if not allow_download:
        os.environ["HF_HUB_OFFLINE"] = "1"
