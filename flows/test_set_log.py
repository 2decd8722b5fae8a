"""How often the frozen test set was looked at: an append-only ledger.

::

    <home>/monitor/looks.jsonl   one line a challenger and test set, before it answers

Each new model that is compared on the same rows is another chance to win by luck: p-values and
intervals are made for the first look. The same model again is no new look.
"""

from flows.engine.context import Run, say_once
from flows.engine.home import now
from pipeline.core.journal import append, read_rows
from pipeline.core.store import Dataset

FILE = "looks.jsonl"


def note_look(run: Run, frozen: Dataset, model: Dataset) -> int:
    """Write that a model is about to be judged on a test set; return which look this is, from 1.

    Both count by content: the same rows frozen again are the same test set, and an adapter
    trained again to the same bytes is the same model.
    """
    path = run.home / "monitor" / FILE
    rows = read_rows(path, say_once)
    seen = [row.get("model") for row in rows if row.get("test_set") == frozen.content]
    if model.content not in seen:
        row = {
            "at": now(),
            "run": run.folder.name,
            "test_set": frozen.content,
            "rows": frozen.rows,
            "model": model.content,
        }
        append(path, [row])
        seen.append(model.content)
    return seen.index(model.content) + 1
