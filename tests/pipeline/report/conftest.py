import copy

import pytest

from pipeline.report.contents import Report


def interval(value, reach):
    return {"value": value, "low": value - reach, "high": value + reach}


def cost(prompt, written, seconds):
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "seconds": seconds,
        "first_token_seconds": 1.5,
        "answer_seconds": 24 * seconds,
        "tokens_per_second": written / seconds,
    }


FULL = {
    "run": {
        "id": "20260131-run-a",
        "flow": "run",
        "started_at": "2026-01-31T12:00:00Z",
        "seconds": 771.2,
        "command": "tuneloop run",
        "exit": 0,
    },
    "stages": [
        {
            "stage": "ingest",
            "rows_in": 94,
            "rows_kept": 91,
            "rows_dropped": 3,
            "reasons": {"unreadable": 2, "empty": 1},
            "seconds": 2.1,
            "reused": True,
        },
        {
            "stage": "screen",
            "rows_in": 398,
            "rows_kept": 231,
            "rows_dropped": 167,
            "reasons": {"not_grounded": 167},
            "seconds": 2.2,
        },
    ],
    "funnel": [
        {"name": "documents", "count": 94},
        {"name": "chunks", "count": 173},
        {"name": "candidates", "count": 398},
        {"name": "screened", "count": 231},
        {"name": "accepted", "count": 198},
    ],
    "teacher": {
        "about": "a model behind an endpoint",
        "calls": 1204,
        "cached": 88,
        "prompt_tokens": 311240,
        "completion_tokens": 40211,
    },
    "review": {
        "require": "none",
        "queued": 93,
        "open": 33,
        "done": 60,
        "accepted": 59,
        "rejected": 1,
        "sample_reviewed": 60,
        "sample_rejected": 1,
        "error_bound": 0.077,
        "decision": "accepted",
    },
    "splits": {"train": 246, "validation": 25, "test": 47},
    "training": {
        "method": "qlora",
        "base_model": "embedded",
        "trainable_parameters": 4884480,
        "supervised_tokens": 9120,
        "tokens_per_second": 182.4,
        "peak_memory_bytes": 2431000000,
        "train_loss": [[step, 4 - step / 20] for step in range(1, 33)],
        "validation_loss": [[8, 2.8], [16, 2.4]],
    },
    "evaluation": {
        "test_rows": 47,
        "test_clusters": 14,
        "arms": {
            "base": {"correct": interval(0.213, 0.05), "loss": interval(2.713, 0.2)},
            "few_shot": {"correct": interval(0.402, 0.06), "loss": interval(2.402, 0.2)},
            "challenger": {"correct": interval(0.634, 0.06), "loss": interval(1.934, 0.2)},
        },
        "challenger_minus": {
            "base": {"correct": interval(0.421, 0.14), "loss": interval(-0.779, 0.14)},
            "few_shot": {"correct": interval(0.032, 0.05), "loss": interval(-0.468, 0.13)},
        },
        "minimum_detectable_effect": {"correct": 0.153, "loss": None},
        "best": "challenger",
        "best_minus": {"base": interval(0.421, 0.14), "few_shot": interval(0.032, 0.05)},
        "calibration": {"base": 0.61, "challenger": 0.72},
        "slices": {
            "base": [
                {
                    "dimension": "topic",
                    "value": "manual",
                    "rows": 30,
                    "clusters": 9,
                    "difference": interval(0.5, 0.2),
                    "p": 0.001,
                    "p_holm": 0.002,
                },
                {
                    "dimension": "topic",
                    "value": "releases",
                    "rows": 17,
                    "clusters": 5,
                    "difference": interval(-0.1, 0.4),
                    "p": 0.41,
                    "p_holm": 0.41,
                },
            ]
        },
        "costs": {
            "base": cost(34, 41.5, 0.71),
            "few_shot": cost(212, 22.0, 0.88),
            "challenger": cost(34, 19.25, 0.6),
        },
        "advice": {
            "choice": "fine-tune",
            "arm": "challenger",
            "text": "use fine-tuning: the challenger is 63% correct",
        },
        "looks": {"number": 6, "confidence": 0.9992, "left": 0.093, "due": True},
        "placebo_steps": [8, 32],
        "foresight": {"effect": 0.21, "rows": 47, "clusters": 14, "basis": "by few-shot"},
        "claim": {
            "difference": {"value": -0.779, "low": None, "high": None},
            "by_seed": {"17": -0.779},
            "clusters": 14,
            "claimed": False,
            "text": "measured on one seed: this adapter is better; not claimed of the recipe",
        },
    },
    "gate": {
        "promoted": True,
        "summary": "promoted: all 2 checks hold",
        "reasons": [
            {
                "name": "enough_rows",
                "passed": True,
                "value": 47,
                "threshold": 10,
                "text": "47 test rows, needed 10 or more",
            },
            {
                "name": "stop_rate",
                "passed": True,
                "value": 0.98,
                "threshold": 0.9,
                "text": "98% end by themselves",
            },
        ],
    },
    "forgetting": {
        "texts": 40,
        "questions": 60,
        "loss_base": interval(3.012, 0.1),
        "loss_challenger": interval(3.043, 0.1),
        "rise": interval(0.031, 0.012),
        "accuracy_base": interval(0.55, 0.1),
        "accuracy_challenger": interval(0.533, 0.1),
        "accuracy_change": interval(-0.017, 0.05),
    },
    "behaviour": {
        "instructions": {
            "items": 24,
            "before": 9,
            "after": 6,
            "lost": 4,
            "gained": 1,
            "chance": 0.1875,
        },
        "refused": None,
        "leaning": {"items": 12, "before": 5, "after": 5, "lost": 0, "gained": 0, "chance": 1.0},
        "answered": None,
        "margin_before": -0.1,
        "margin_after": -0.2,
    },
    "drift": {
        "reference": {
            "fingerprint": "9b1f3c7ae0d2",
            "rows": 386,
            "features": {"tokens": {"low": 11, "median": 51, "high": 340}},
        }
    },
    "redaction": {"kinds": {"EMAIL": 7, "IP": 2}, "documents": 4, "allowed": 3},
    "repeated": {
        "paragraphs": 1,
        "spare_characters": 4410,
        "most": [
            {
                "text": "The supplier is not liable for plants that were lost in a power cut.",
                "words": 14,
                "documents": 64,
                "occurrences": 65,
                "sources": ["manual/alarms.md", "manual/mounting.md"],
            }
        ],
    },
    "drop_examples": {
        "screen": {
            "not_grounded": [
                {
                    "id": "c1",
                    "excerpt": "The pump runs for 45 minutes.",
                    "value": 0.41,
                    "threshold": 0.6,
                    "related_id": "c9",
                    "related_excerpt": "The pump runs for 40 minutes.",
                }
            ]
        }
    },
    "pair_examples": [
        {
            "pair_id": "p1",
            "instruction": "What must be closed first?",
            "response": "The inlet valve.",
            "document": "Manual > Filters",
            "origin": "grounded",
            "split": "train",
            "status": "accepted",
        }
    ],
    "answers": [
        {
            "question": "Which pressure does it hold?",
            "reference": "2.5 bar.",
            "base": "100 psi.",
            "challenger": "It holds 2.5 bar.",
            "document": "Booster pump",
        }
    ],
    "lineage": {
        "datasets": [
            {
                "name": "chunks",
                "fingerprint": "1f9a3c7ae0d24511",
                "rows": 173,
                "inputs": ["documents"],
            }
        ]
    },
    "settings_toml": "[split]\ntest = 0.15\n",
}


@pytest.fixture
def content():
    return copy.deepcopy(FULL)


@pytest.fixture
def report(content):
    return Report.model_validate(content)


@pytest.fixture
def partial(content):
    return Report.model_validate(
        {"run": content["run"] | {"exit": 2}, "stages": content["stages"][:1]}
    )
