"""The rules on one pair judge thirteen languages: good pairs stay, bad ones go.

``language_pairs.jsonl`` has, for each language, three passages with ten good pairs and ten that
are bad in a named way each.
"""

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from pipeline.pairs.screen.figures import labelled
from pipeline.pairs.screen.rules import first_finding
from pipeline.settings import ScreenSettings

PAIRS = labelled(Path(__file__).with_name("language_pairs.jsonl"))
LANGUAGES = ["ar", "de", "es", "fr", "hi", "it", "ja", "ko", "nl", "pl", "pt", "ru", "zh"]
ENOUGH = 8


@pytest.fixture(scope="module")
def found():
    """Language -> reason or None of each good pair, and of each bad one."""
    reasons = {True: defaultdict(list), False: defaultdict(list)}
    for pair in PAIRS:
        finding = first_finding(ScreenSettings(), pair.candidate, compares=False)
        reasons[pair.fault == ""][pair.language].append(finding and finding.reason)
    return reasons


def test_each_language_has_ten_pairs_of_both_sorts_and_each_fault_once():
    good = Counter(pair.language for pair in PAIRS if not pair.fault)
    faults = Counter((pair.language, pair.fault) for pair in PAIRS if pair.fault)
    assert good == dict.fromkeys(LANGUAGES, 10)
    assert set(faults.values()) == {1}
    assert len(faults) == 10 * len(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_good_pairs_stay(language, found):
    kept = found[True][language].count(None)
    assert kept >= ENOUGH, found[True][language]


@pytest.mark.parametrize("language", LANGUAGES)
def test_bad_pairs_go(language, found):
    gone = sum(reason is not None for reason in found[False][language])
    assert gone >= ENOUGH, found[False][language]
