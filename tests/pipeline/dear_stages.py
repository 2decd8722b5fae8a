"""Stored digests of the code of dear stages; `python -m tests.pipeline.dear_stages` renews them.

A dear stage is reused when its code changes, for only a person can tell whether its results do.
So whoever changes such code raises the stage's version, or not, and writes the digests down.
"""

import importlib
import json
from pathlib import Path

from pipeline.core.cache import digest
from pipeline.core.code import ROOT
from pipeline.core.stage import Stage

RECORD = Path(__file__).with_suffix(".json")


def stages() -> list[Stage]:
    """Return every stage of the product, by the module that declares it."""
    declaring = [
        path for path in (ROOT / "pipeline").rglob("*.py") if " = Stage(" in path.read_text("utf-8")
    ]
    found = []
    for path in sorted(declaring):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        values = vars(importlib.import_module(name)).values()
        found += [value for value in values if isinstance(value, Stage)]
    return list({(stage.name, stage.dataset): stage for stage in found}.values())


def record() -> dict[str, dict[str, object]]:
    """Return version and digest of the code of each dear stage."""
    return {
        f"{stage.name} -> {stage.dataset or stage.name}": {
            "version": stage.version,
            "code": digest(stage.modules())[:12],
        }
        for stage in stages()
        if stage.version is not None
    }


if __name__ == "__main__":
    RECORD.write_text(json.dumps(record(), indent=1, sort_keys=True) + "\n", "utf-8")
