"""A project with a champion, and deliveries of documents: more of the same, and other topics."""

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from random import Random

from pipeline.core.cache import digest
from tests.end_to_end.project import ROOT, Project, make_quick_project

SETTINGS = """
[generate]
tokens_per_pair = 10000
[schedule]
curate = ""
synthesize = ""
review = ""
monitor = ""
reconcile = ""
[label_studio]
managed = false
[monitor]
min_window = 8
window = 11
permutations = 499
calibration_draws = 60
loss_margin = 0.0
[retrain]
min_new_rows = 3
cooldown_days = 0
grace_minutes = 0
"""

FIRST = 44
"""Documents that the champion is trained on."""
MORE = 11
DELIVERY = 22
"""Two windows of 11."""


def make_drifting_project(folder: Path, base: Path, url: str) -> Project:
    """Make a project of the sample manuals; a part of them is held back as more of the same."""
    project = make_quick_project(folder, base, url)
    shutil.rmtree(folder / "raw")
    documents = sample_documents()
    deliver(project, documents[:FIRST])
    names = {name for name, _ in documents[:FIRST]}
    gold = (ROOT / "data/gold/gold.jsonl").read_text("utf-8").splitlines()
    kept = [line for line in gold if json.loads(line)["document"] in names]
    (folder / "gold.jsonl").write_text("\n".join(kept) + "\n", "utf-8")
    config = folder / "tuneloop.toml"
    text = config.read_text("utf-8").replace("[generate]\n", "[generate]\nTAKEN\n")
    text = text.replace("self_instruct_tasks = 2", "self_instruct_tasks = 0")
    merged = SETTINGS.replace("[generate]\n", "")
    own, _, rest = merged.strip().partition("[schedule]")
    config.write_text(text.replace("TAKEN", own.strip()) + "[schedule]" + rest, "utf-8")
    return project


def deliver(project: Project, documents: Iterable[tuple[str, bytes]]) -> None:
    """Put documents into the input folder."""
    for name, text in documents:
        path = project.folder / "raw" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)


def sample_documents() -> list[tuple[str, bytes]]:
    """Return the sample manuals and articles, shuffled: any part of them is like any other."""
    samples = ROOT / "data/samples"
    paths = [
        path for kind in ("manual", "support", "guides") for path in (samples / kind).iterdir()
    ]
    names = {str(path.relative_to(samples)): path.read_bytes() for path in paths}
    return [(name, names[name]) for name in sorted(names, key=digest)]


SENTENCES = (
    "The {a} is set to {n} {u} before the {b} is hung into the {c}.",
    "A {a} that was {v} twice must not touch the {b} again until the {c} has cooled.",
    "When the {b} hums, turn the {a} by {n} {u} and wait for the {c} to settle.",
    "Keepers call it a {a}; in the older houses the same part is known as the {b}.",
    "Of all {c} makers only the one in the valley still {v} its {a} by hand.",
    "The {u} is counted from the lip of the {a}, never from the foot of the {b}.",
    "If the {c} was left open over night, the {a} has lost about {n} {u} of its {b}.",
    "Between two {b} strokes the {a} rests, which gives the {c} its dark voice.",
    "No {a} was ever {v} without a {b}, so keep a spare one beside the {c}.",
    "For a festival the {c} is {v} with {n} {u} of {b} and a little {a}.",
)
SYLLABLES = (
    "bre",
    "vol",
    "tash",
    "quim",
    "dor",
    "lun",
    "fesk",
    "arv",
    "oon",
    "gild",
    "mep",
    "thra",
)


def jargon(seed: int) -> list[tuple[str, bytes]]:
    """Return documents about a craft that no model has read of: its words are invented."""
    random = Random(seed)
    coined = ["".join(random.sample(SYLLABLES, 3)) for _ in range(60)]
    found = []
    for number in range(DELIVERY):
        lines = []
        for template in random.sample(SENTENCES * 2, 12):
            words = dict(zip("abcuv", random.sample(coined, 5), strict=True))
            lines.append(template.format(n=random.randint(2, 90), **words))
        title = f"# The {random.choice(coined)} of the {random.choice(coined)}\n\n"
        found.append((f"craft-{seed}/{number:02}.md", (title + " ".join(lines) + "\n").encode()))
    return found
