"""The dry run says what the run does."""

import pytest

from pipeline.core.errors import InputError
from pipeline.documents.clean.clean import clean
from pipeline.documents.clean.profiles import PROFILES
from pipeline.documents.dry_run import ProfileCount, names_of, rehearse
from pipeline.settings import CleanSettings
from tests.pipeline.documents.making import PROSE, raw, raws

LINKS = "\n".join(f"- [How to repair part {n} of a pump](/{n}.html)" for n in range(20))
GERMAN = (
    "Der Regler öffnet das Ventil eines Beetes, wenn der Boden trocken ist, und schließt es "
    "wieder, sobald der Sollwert erreicht ist. Ein Programm kann auf den Abend warten."
)
TEXTS = [
    PROSE,
    f"{PROSE} Mail a@b.example.",
    "How often? Once a week, says a@b.example.",
    GERMAN,
    "\n".join([PROSE.split(".")[0]] * 4) + " █░▒" * 100,
    LINKS,
    "​",
    f"{PROSE}\n\n```\n{{}}\n```",
    "A1 B2 C3 D4 " * 10,
]
DOCUMENTS = raws(*(raw(text, number=number) for number, text in enumerate(TEXTS)))


@pytest.fixture(scope="module")
def found() -> dict[str, ProfileCount]:
    return {each.profile: each for each in rehearse(DOCUMENTS, CleanSettings(), list(PROFILES))}


@pytest.mark.parametrize("profile", PROFILES)
def test_counts_are_those_of_the_stage(found, profile: str):
    outcome = clean(DOCUMENTS, CleanSettings(profile=profile))
    count = found[profile]
    assert {rule.rule: rule.rejects for rule in count.rules if rule.rejects} == outcome.reasons
    assert (count.documents, count.kept) == (outcome.rows_in, outcome.rows_kept)
    dropped = {
        (row["reason"], row["value"], row["threshold"]) for row in outcome.dropped.to_dicts()
    }
    assert dropped == {
        (rule.rule, example.value, example.threshold)
        for rule in count.rules
        for example in rule.examples
    }


def test_each_rule_is_told_also_when_it_drops_nothing(found):
    for profile, rules in PROFILES.items():
        told = [rule.rule for rule in found[profile].rules]
        assert [name for name in told if name in {rule.name for rule in rules}] == [
            rule.name for rule in rules
        ]
    assert all(rule.breaks >= rule.rejects for each in found.values() for rule in each.rules)
    symbols = next(rule for rule in found["technical"].rules if rule.rule == "symbol_ratio")
    lines = next(rule for rule in found["technical"].rules if rule.rule == "repeated_lines")
    assert (symbols.rejects, lines.rejects, lines.breaks) == (1, 0, 1)


def test_examples_are_redacted(found):
    examples = [e for each in found.values() for rule in each.rules for e in rule.examples]
    assert any("<EMAIL_1>" in example.excerpt for example in examples)
    assert not any("a@b.example" in example.excerpt for example in examples)
    assert all(example.source.startswith("file-") for example in examples)


def test_limits_count_for_the_profile_they_were_set_for():
    settings = CleanSettings(limits={"too_short": 5})
    short = {
        each.profile: next(rule for rule in each.rules if rule.rule == "too_short")
        for each in rehearse(DOCUMENTS, settings, ["technical", "web"])
    }
    assert (short["technical"].limit, short["web"].limit) == (5, 50)
    assert clean(DOCUMENTS, settings).reasons.get("too_short", 0) == short["technical"].rejects


def test_names_of_profiles():
    settings = CleanSettings(profile="faq")
    assert names_of("", settings) == ["faq"]
    assert names_of("web", settings) == ["web"]
    assert names_of("all", settings) == list(PROFILES)
    with pytest.raises(InputError, match="--profile wob found; expected one of technical, web"):
        names_of("wob", settings)
