"""What the clean stage would drop, by rule and profile, before anything is dropped."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from pandera.typing.polars import DataFrame

from pipeline.core.errors import InputError
from pipeline.core.outcome import EXCERPT
from pipeline.core.progress import track
from pipeline.documents.clean import quality
from pipeline.documents.clean.clean_document import Decision, decide, markdown_of, refused
from pipeline.documents.clean.quality import PROFILES, Rule, Verdict, rules_of
from pipeline.settings import CleanSettings
from pipeline.text.language import Language, identify
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


class _Counts:
    """What is counted for one profile while the documents pass."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self.rules = rules
        self.kept = 0
        self.rejects: Counter[str] = Counter()
        self.breaks: Counter[str] = Counter()
        self.examples: dict[str, list[Example]] = defaultdict(list)


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
    counts = {
        name: _Counts(rules_of(name, settings.limits if name == settings.profile else None))
        for name in profiles
    }
    for row in track(documents.sort("doc_id").to_dicts(), "documents"):
        oversized = quality.too_long(row["text"])
        text = row["text"] if oversized else markdown_of(row)
        language = None if oversized else identify(text)
        for count in counts.values():
            if oversized:
                decision, broken = Decision(oversized, ""), [oversized]
            else:
                decision = decide(text, settings, count.rules, language)
                broken = _all_broken(text, count.rules, language)
            _note(count, decision, broken)
            verdict = decision.verdict
            if verdict and len(count.examples[verdict.reason]) < EXAMPLES:
                excerpt = refused(text, decision, settings).excerpt[:EXCERPT]
                count.examples[verdict.reason].append(
                    Example(row["source"], verdict.value, verdict.threshold, excerpt)
                )
    return [_sum(name, documents.height, count) for name, count in counts.items()]


def _all_broken(text: str, rules: Sequence[Rule], language: Language | None) -> list[Verdict]:
    return quality.broken(text, rules, language.code if language else "") if text.strip() else []


def _note(count: _Counts, decision: Decision, broken: Sequence[Verdict]) -> None:
    names = {verdict.reason for verdict in broken}
    if decision.verdict:
        names.add(decision.verdict.reason)
        count.rejects[decision.verdict.reason] += 1
    else:
        count.kept += 1
    count.breaks.update(names)


def _sum(profile: str, documents: int, count: _Counts) -> ProfileCount:
    known = {rule.name: rule for rule in count.rules}
    other = sorted(set(count.rejects) - set(known))
    return ProfileCount(
        profile,
        documents,
        count.kept,
        tuple(
            RuleCount(
                name,
                known[name].limit if name in known else None,
                known[name].source if name in known else BEFORE_PROFILE,
                count.rejects[name],
                count.rejects[name] / max(1, documents),
                count.breaks[name],
                tuple(count.examples[name]),
            )
            for name in (*other, *known)
        ),
    )


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
