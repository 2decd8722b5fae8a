"""What `review status` tells besides counts: agreement, people, screens; and `show screens`."""

from typing import Any

import click

from annotation.queue import targeted
from annotation.queue_files import FileQueue
from pipeline.core.errors import InputError, MissingDataset
from pipeline.core.home import Home
from pipeline.pairs.agreement import agreement, ratings_of
from pipeline.pairs.review import quality
from pipeline.pairs.review_sample import Material, is_overlap
from pipeline.pairs.screen.figures import figures, labelled
from pipeline.settings import ScreenSettings, Settings

Facts = dict[str, Any]


def about_reviews(queue: FileQueue, settings: Settings) -> Facts:
    """Return what is known of queues, pairs, people and screens, JSON-able.

    ``queues``: items, open ones; ``disputed``: pairs that wait for a third person; ``held_back``:
    decisions that do not count; ``agreement``, ``reviewers``; ``audit``, ``screens``, ``recall``.
    """
    pulled, policy = queue.stored(), queue.policy
    items = queue.items()
    lacking = policy.missing(pulled.reviews, items)
    overlap = {key for key in items if is_overlap(key, settings.review)} - policy.gold.keys()
    members = {
        name: {key for key, item in items.items() if item["queue"] == name} - policy.gold.keys()
        for name in ("audit", "fix")
    } | {"gold": policy.gold.keys() & items.keys(), "overlap": overlap}
    counting, others = policy.counting(pulled.reviews)
    measured = agreement(ratings_of(counting, max(2, policy.people)))
    facts: Facts = {
        "queues": {
            name: {"items": len(keys), "open": sum(lacking[key] > 0 for key in keys)}
            for name, keys in members.items()
        },
        "disputed": sorted(policy.disputed(pulled.reviews)),
        "held_back": sorted(drop.id for drop in others if drop.reason == "held_back"),
        "agreement": [row._asdict() for row in measured],
        "reviewers": [row._asdict() for row in policy.reviewers(pulled.reviews)],
    }
    try:
        screened = Home.at(settings.paths.home).dataset("screened_pairs")
    except (InputError, MissingDataset):
        return facts
    material = Material.of(settings.paths.home, screened, settings.review.seed)
    chosen = targeted(settings.paths.home)
    people = quality(material.pairs, material.flagged, counting, settings.review, chosen)
    counted = {"audit": people.audit, "screens": people.screens}
    shares = {name: [row._asdict() for row in rows] for name, rows in counted.items()}
    return facts | shares | {"recall": people.recall}


def lines_of(facts: Facts) -> list[str]:
    """Return the facts as lines; what nobody has decided on yet is left out."""
    told = (f"{name} {row['items']} ({row['open']} open)" for name, row in facts["queues"].items())
    lines = [f"queues     {', '.join(told)}"]
    if facts["disputed"]:
        lines.append(f"disputed   {' '.join(facts['disputed'])}: they wait for a third person")
    if facts["held_back"]:
        lines.append(f"held back  {len(facts['held_back'])} decisions; their pairs are asked again")
    lines += [f"sampled    {_share(row)}" for row in facts.get("audit", ()) if row["of"]]
    found = (
        "agreement  {measure:<6} {value:.2f} [{low:.2f}, {high:.2f}] on {items} pairs of two people"
    )
    lines += [found.format_map(row) for row in facts["agreement"] if row["value"] is not None]
    for row in facts["reviewers"]:
        parts = [f"{row['decisions']} decisions"]
        if row["edit_share"] is not None:
            parts.append(f"{row['edit_share']:.0%} edits")
        if row["median_seconds"] is not None:
            parts.append(f"{row['median_seconds']:.0f} s each")
        if row["gold_answered"]:
            parts.append(f"{row['gold_right']} of {row['gold_answered']} gold items right")
        held = click.style("  held back", fg="red") if row["held_back"] else ""
        lines.append(f"reviewer   {row['reviewer']}: {', '.join(parts)}{held}")
    screens = [_share(row) for row in facts.get("screens", ()) if row["of"]]
    lines += [f"screen     {text} rightly dropped" for text in screens]
    if facts.get("recall") is not None:
        lines.append(f"screens    dropped {facts['recall']:.0%} of what people would not accept")
    return lines


def _share(row: Facts) -> str:
    return "{name}: {hits} of {of}, {share:.0%} [{low:.0%}, {high:.0%}]".format_map(row)


def screen_rows(settings: ScreenSettings) -> list[dict[str, Any]]:
    """Return precision and recall of each screen on the pairs that are held out.

    First all together, also on the pairs that rules were mended on; then by screen, fault and task.
    """
    pairs = labelled()
    mended_on = figures([pair for pair in pairs if not pair.held_out], settings)[0]
    held_out = figures([pair for pair in pairs if pair.held_out], settings)
    return [mended_on | {"set": "mended on"}, held_out[0] | {"set": "held out"}, *held_out[1:]]


def screen_line(row: dict[str, Any]) -> str:
    """Return a row of :func:`screen_rows` as a line."""
    about, name = next(iter(row.items()))
    parts = [f"{about:<7} {name:<21}"]
    if row["good"]:
        parts.append(f"{row['good'] - row['good_rejected']:>4} of {row['good']:>3} good stay")
    if row["bad"]:
        parts.append(f"{row['bad_rejected']:>4} of {row['bad']:>3} bad go")
    if about in ("set", "screen"):
        parts.append(f"  precision {row['precision']:.3f}  recall {row['recall']:.3f}")
    return " ".join(parts)
