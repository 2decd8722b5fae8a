"""`tuneloop curate --dry-run`: what cleaning would drop, and by which rule; nothing is stored."""

from collections.abc import Iterator, Sequence
from typing import Any

from pipeline.core.cache import Cache
from pipeline.core.errors import InputError
from pipeline.core.runner import open_runner
from pipeline.documents.dry_run import ProfileCount, RuleCount, rehearse
from pipeline.documents.files.files import scan
from pipeline.documents.files.ingest import ingest
from pipeline.settings import Settings

SHOWN = 70  # characters of an example in the table


def dry_run(settings: Settings, profiles: Sequence[str]) -> dict[str, Any]:
    """Read the input folder and decide on each document as a run would; only reads are kept.

    Returns the number of ``files``, what is ``quarantined`` by reason, and ``profiles``, a
    :class:`ProfileCount` each. An InputError where no document could be read.
    """
    reads = settings.paths.home / "reads"
    files = scan(settings.paths.input, settings.ingest, reads / "index.json")
    with open_runner(**settings.compute.who()) as runner:
        raw = ingest(files, settings.ingest, Cache(reads), runner)
    if not raw.kept.height:
        why = ", ".join(f"{reason} {count}" for reason, count in raw.reasons.items()) or "no file"
        raise InputError(
            f"dry run: no document could be read from {settings.paths.input} ({why}); expected at "
            "least one; look at the folder's files"
        )
    counted = rehearse(raw.kept, settings.clean, profiles)
    return {"files": len(files), "quarantined": raw.reasons, "profiles": counted}


def as_lines(found: dict[str, Any]) -> Iterator[str]:
    """Return the lines that the command prints: a table a profile, or one that compares them."""
    profiles: list[ProfileCount] = found["profiles"]
    unread = "".join(f", {reason} {count}" for reason, count in found["quarantined"].items())
    yield f"{found['files']:,} files, {profiles[0].documents:,} documents read{unread}"
    yield ""
    yield from _one(profiles[0]) if len(profiles) == 1 else _compared(profiles)
    yield ""
    yield "nothing was dropped or stored: this is what cleaning would do"


def _one(profile: ProfileCount) -> Iterator[str]:
    yield f"profile {profile.profile}: {profile.kept:,} of {profile.documents:,} would be kept"
    names = f"{'rule':<26}{'rejects':>8}{'share':>8}{'breaks':>8}{'limit':>10}"
    yield f"{names}  an example: value, file, start"
    for rule in profile.rules:
        limit = "" if rule.limit is None else f"{rule.limit:,.9g}"
        figures = f"{rule.rejects:>8,}{rule.share:>8.1%}{rule.breaks:>8,}{limit:>10}"
        yield f"{rule.rule:<26}{figures}  {_example(rule)}".rstrip()
    yield ""
    yield "rejects: the first rule that a document breaks; breaks: all documents that break it"


def _example(rule: RuleCount) -> str:
    if not rule.examples:
        return ""
    example = rule.examples[0]
    excerpt = " ".join(example.excerpt.split())[:SHOWN]
    return f"{example.value:.3g} (asked {example.threshold:.9g})  {example.source}  {excerpt}"


def _compared(profiles: Sequence[ProfileCount]) -> Iterator[str]:
    yield f"{'rejects by rule':<26}" + "".join(f"{each.profile:>14}" for each in profiles)
    counts = [{rule.rule: rule.rejects for rule in each.rules} for each in profiles]
    names = dict.fromkeys(name for known in counts for name in known)
    quiet = [name for name in names if not any(known.get(name) for known in counts)]
    for name in (name for name in names if name not in quiet):
        cells = (f"{known[name]:,}" if name in known else "-" for known in counts)
        yield f"{name:<26}" + "".join(f"{cell:>14}" for cell in cells)
    yield f"{'kept':<26}" + "".join(f"{each.kept:>14,}" for each in profiles)
    shares = (f"{each.kept / each.documents:>14.1%}" for each in profiles)
    yield f"{'share kept':<26}" + "".join(shares)
    yield ""
    yield f"no rejects: {', '.join(quiet)}"
