"""What the clean stage would drop, by rule and profile, before anything is dropped."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pandera.typing.polars import DataFrame

from pipeline.core.errors import InputError
from pipeline.core.outcome import EXCERPT
from pipeline.core.progress import track
from pipeline.documents.clean.clean_document import Decision, decide, markdown_of, refused
from pipeline.documents.clean.cleaning import Rule, broken, too_long
from pipeline.documents.clean.profiles import PROFILES, rules_of
from pipeline.settings import CleanSettings
from pipeline.text.language import identify
from schemas.documents import RawDocuments

EXAMPLES = 3
"""Documents shown for each rule."""

BEFORE_PROFILE = "every profile"
"""Source of the reasons that belong to no profile: language, nothing left."""


@dataclass(frozen=True, slots=True)
class Example:
    """A document that a rule drops."""

    source: str
    """File, below the input folder."""
    value: float
    threshold: float
    excerpt: str
    """Start of the text, redacted."""


@dataclass(frozen=True, slots=True)
class RuleCount:
    """What one rule does to the documents."""

    rule: str
    limit: float | None
    """None for a reason whose limit is not one number of the profile."""
    source: str
    """Whose number the limit is."""
    rejects: int
    """Documents for which it is the first rule broken: so many the run drops for it."""
    share: float
    """The same, of all documents."""
    breaks: int
    """Documents that break it, whatever else they break."""
    examples: tuple[Example, ...]


@dataclass(frozen=True, slots=True)
class ProfileCount:
    """What one profile does to the documents."""

    profile: str
    documents: int
    kept: int
    rules: tuple[RuleCount, ...]
    """In the order in which they are asked; rules that drop nothing are there too."""


class _Tally(NamedTuple):
    """What is counted for one profile while the documents pass."""

    rules: tuple[Rule, ...]
    rejects: Counter[str]
    breaks: Counter[str]
    examples: defaultdict[str, list[Example]]


def rehearse(
    documents: DataFrame[RawDocuments], settings: CleanSettings, profiles: Sequence[str]
) -> list[ProfileCount]:
    """Count for each profile what its rules would drop.

    The decision on a document is that of :func:`pipeline.documents.clean.clean.clean`.

    Args:
        documents: As read.
        settings: Of the clean stage; its limits count for its own profile alone.
        profiles: Names of profiles.

    Returns:
        The counts, a profile each, in the order given.
    """
    tallies = {
        name: _Tally(
            rules_of(name, settings.limits if name == settings.profile else None),
            Counter(),
            Counter(),
            defaultdict(list),
        )
        for name in profiles
    }
    for row in track(documents.sort("doc_id").to_dicts(), "documents"):
        oversized = too_long(row["text"])
        text = row["text"] if oversized else markdown_of(row)
        language = None if oversized else identify(text, settings.languages)
        for tally in tallies.values():
            names = set()
            if language is None:
                decision = Decision(oversized, "")
            else:
                decision = decide(text, settings, tally.rules, language)
                if text.strip():
                    names = {found.reason for found in broken(text, tally.rules, language.code)}
            verdict = decision.verdict
            if verdict:
                names.add(verdict.reason)
                tally.rejects[verdict.reason] += 1
                if len(tally.examples[verdict.reason]) < EXAMPLES:
                    excerpt = refused(text, decision, settings).excerpt[:EXCERPT]
                    example = Example(row["source"], verdict.value, verdict.threshold, excerpt)
                    tally.examples[verdict.reason].append(example)
            tally.breaks.update(names)
    return [_profile(name, documents.height, tally) for name, tally in tallies.items()]


def _profile(profile: str, documents: int, tally: _Tally) -> ProfileCount:
    known = {rule.name: rule for rule in tally.rules}
    counts = tuple(
        RuleCount(
            name,
            known[name].limit if name in known else None,
            known[name].source if name in known else BEFORE_PROFILE,
            tally.rejects[name],
            tally.rejects[name] / max(1, documents),
            tally.breaks[name],
            tuple(tally.examples[name]),
        )
        for name in (*sorted(set(tally.rejects) - set(known)), *known)
    )
    return ProfileCount(profile, documents, documents - tally.rejects.total(), counts)


def names_of(profile: str, settings: CleanSettings) -> list[str]:
    """Return the profiles that a name stands for: ``all``, one, or empty for the one that is set.

    Raises:
        InputError: There is no such profile; the message lists those there are.
    """
    if profile == "all":
        return list(PROFILES)
    name = profile or settings.profile
    if name not in PROFILES:
        raise InputError(
            f"dry run: --profile {name} found; expected one of {', '.join(PROFILES)}, or all to "
            "compare them"
        )
    return [name]
