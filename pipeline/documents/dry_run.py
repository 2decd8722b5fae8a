"""What the clean stage would drop, by rule and profile, before anything is dropped."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from pandera.typing.polars import DataFrame

from pipeline.core.errors import InputError
from pipeline.core.outcome import EXCERPT
from pipeline.core.progress import track
from pipeline.documents.clean.clean_document import decide, markdown_of, refused
from pipeline.documents.clean.cleaning import broken, too_long
from pipeline.documents.clean.profiles import PROFILES, rules_of
from pipeline.settings import CleanSettings
from pipeline.text.language import identify
from schemas.documents import RawDocuments

EXAMPLES = 3  # documents shown for each rule
BEFORE_PROFILE = "every profile"  # source of the reasons of no profile: language, nothing left


@dataclass(frozen=True, slots=True)
class Example:
    """A document that a rule drops: its file, and the start of its text, redacted."""

    source: str
    value: float
    threshold: float
    excerpt: str


@dataclass(slots=True)
class RuleCount:
    """What one rule, or a reason that has no limit in a profile, does to the documents."""

    rule: str
    limit: float | None = None
    source: str = BEFORE_PROFILE  # whose number the limit is
    rejects: int = 0  # documents for which it is the first rule broken: so many are dropped for it
    share: float = 0.0  # the same, of all documents
    breaks: int = 0  # documents that break it, whatever else they break
    examples: list[Example] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class ProfileCount:
    """What one profile does to the documents, with all its rules in the order they are asked."""

    profile: str
    documents: int
    kept: int
    rules: tuple[RuleCount, ...]


def rehearse(
    documents: DataFrame[RawDocuments], settings: CleanSettings, profiles: Sequence[str]
) -> list[ProfileCount]:
    """Count for each profile what its rules would drop, as the clean stage decides.

    The limits of the settings count for their own profile alone.
    """
    rules = {
        name: rules_of(name, settings.limits if name == settings.profile else None)
        for name in profiles
    }
    counts = {
        name: {rule.name: RuleCount(rule.name, rule.limit, rule.source) for rule in rules[name]}
        for name in profiles
    }
    for row in track(documents.sort("doc_id").to_dicts(), "documents"):
        oversized = too_long(row["text"])
        text = row["text"] if oversized else markdown_of(row)
        language = identify("" if oversized else text, settings.languages)
        for name in profiles:
            verdict, broke = oversized, set[str]()
            if not oversized:
                verdict = decide(text, settings, rules[name], language)
                judged = broken(text, rules[name], language.code) if text.strip() else ()
                broke = {found.reason for found in judged}
            if verdict:
                broke.add(verdict.reason)
                count = counts[name].setdefault(verdict.reason, RuleCount(verdict.reason))
                count.rejects += 1
                if len(count.examples) < EXAMPLES:
                    excerpt = refused(text, verdict, settings).excerpt[:EXCERPT]
                    example = Example(row["source"], verdict.value, verdict.threshold, excerpt)
                    count.examples.append(example)
            for reason in broke:
                counts[name][reason].breaks += 1
    return [_profile(name, documents.height, counts[name].values()) for name in profiles]


def _profile(profile: str, documents: int, counts: Collection[RuleCount]) -> ProfileCount:
    for count in counts:
        count.share = count.rejects / max(1, documents)
    rejected = sum(count.rejects for count in counts)
    before = (count for count in counts if count.source == BEFORE_PROFILE)
    own = (count for count in counts if count.source != BEFORE_PROFILE)
    rules = (*sorted(before, key=lambda count: count.rule), *own)
    return ProfileCount(profile, documents, documents - rejected, rules)


def names_of(profile: str, settings: CleanSettings) -> list[str]:
    """Return the profiles of a name: ``all``, one, or the set one for ""; InputError: no such."""
    name = profile or settings.profile
    if name not in (*PROFILES, "all"):
        raise InputError(
            f"dry run: --profile {name} found; expected one of {', '.join(PROFILES)}, or all to "
            "compare them"
        )
    return list(PROFILES) if name == "all" else [name]
