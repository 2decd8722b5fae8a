"""Real examples for training tests, made of the seed tasks of the repository."""

import json
from pathlib import Path

from pipeline.core.cache import short_id
from pipeline.core.outcome import table
from schemas.pairs import Examples

SEEDS = Path(__file__).parents[3] / "data" / "seeds" / "seed_tasks.jsonl"


def make_examples(count, validation):
    """Examples of the first seed tasks; the last ``validation`` of them are validation rows."""
    rows = []
    for number, line in enumerate(SEEDS.read_text("utf-8").splitlines()[:count]):
        task = json.loads(line)
        question = f"{task['instruction']}\n\n{task['input']}".strip()
        rows.append(
            {
                "pair_id": short_id(task["id"]),
                "doc_id": "",
                "cluster_id": short_id(task["id"]),
                "split": "validation" if number >= count - validation else "train",
                "origin": "self_instruct",
                "status": "accepted",
                "messages": [
                    {"role": "user", "content": question},
                    {"role": "assistant", "content": task["output"].strip()},
                ],
            }
        )
    return table(Examples, rows)
