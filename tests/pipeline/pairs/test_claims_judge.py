"""A judge of claims: it rejects once people agree with it, and sees what the rules do not."""

from dataclasses import replace

import pytest

from pipeline.core.cache import Cache
from pipeline.core.errors import TeacherError
from pipeline.core.outcome import table
from pipeline.pairs.agreement import calibrate
from pipeline.pairs.kinds.brief import read_prompts
from pipeline.pairs.reviewers import as_written
from pipeline.pairs.screen.figures import labelled
from pipeline.pairs.screen.judge import MISSES, ClaimsJudge, Criteria
from pipeline.pairs.screen.rules import first_finding
from pipeline.pairs.screen.screen import Screens, screen
from pipeline.pairs.teachers.endpoint import EndpointTeacher
from pipeline.pairs.teachers.replies import CachingTeacher
from pipeline.settings import ScreenSettings, TeacherSettings
from schemas.pairs import Reviews
from tests.pipeline.pairs.endpoint_server import chat, serving
from tests.pipeline.pairs.pairs_data import chunks, grounded, pairs, seed_tasks, splits

PROMPT = read_prompts()["claims"]
LABELLED = [
    replace(one.candidate, pair_id=f"{number:016x}")
    for number, one in enumerate(labelled())
    if one.language == "en" and one.candidate.kind != "not_in_documents"
]
FAULTS = {(one.candidate.instruction, one.candidate.response): one.fault for one in labelled()}
KNIT = next(pair for pair in LABELLED if "220 m" in pair.source)
ELSEWHERE = replace(
    KNIT, instruction="How is the jumper washed?", pair_id="e" * 16,
    response="The yarn is Tindal Wool, which has 220 m a ball.",
)  # fmt: skip
"""True, but the answer to another question of the same passage."""


def of(answer):
    return next(pair for pair in LABELLED if pair.response == answer)


MISSED = {
    "wrong label": (of("throw_away"), "UNSUPPORTED: The pen is one to throw away.\nANSWERS"),
    "opposite without a negation": (
        of("Yes, you should use the same needle for each injection."),
        "UNSUPPORTED: The same needle is used for each injection.\nANSWERS",
    ),
    "answer to another question": (ELSEWHERE, "SUPPORTED: The yarn has 220 m a ball.\nMISSES"),
}


def good_judge(number, body):
    """Know what is wrong with each labelled pair, and with those above."""
    prompt = body["messages"][-1]["content"]
    question, answer = prompt.rsplit("Question: ", 1)[1].split("\n\nAnswer: ", 1)
    for pair, said in MISSED.values():
        if (question.endswith(pair.instruction)) and answer == pair.response:
            return chat(said)
    found = FAULTS.get((question.rsplit("\n", 1)[-1], answer))
    return chat("UNSUPPORTED: it\nANSWERS" if found else "- SUPPORTED: it\n**ANSWERS**")


def judge(url, folder):
    settings = TeacherSettings(kind="openai", model="judge", base_url=url, max_retries=0)
    return ClaimsJudge(CachingTeacher(EndpointTeacher(settings, None), Cache(folder)), PROMPT)


@pytest.mark.parametrize("kind", MISSED)
def test_what_the_rules_miss_goes_when_the_judge_counts(kind, tmp_path):
    pair, _ = MISSED[kind]
    assert first_finding(ScreenSettings(), pair, compares=False) is None
    with serving(good_judge) as server:
        (faults,) = judge(server.url, tmp_path).faults([pair])
        seen = server.bodies[0]["messages"][-1]["content"]
    assert faults
    assert pair.source in seen and pair.response in seen
    finding = first_finding(ScreenSettings(), replace(pair, faults=faults), compares=False)
    assert finding and finding.reason == "unsupported_claim"
    assert (finding.detail == MISSES) == (kind == "answer to another question")


@pytest.mark.parametrize(
    ("script", "decisions", "counts"),
    [
        (good_judge, 60, True),
        (good_judge, 29, False),
        (lambda number, body: chat("SUPPORTED: all\nANSWERS"), 60, False),
    ],
)
def test_it_counts_once_people_agree_with_it_on_enough_pairs(script, decisions, counts, tmp_path):
    known = LABELLED[:decisions]
    decided = {p.pair_id: not FAULTS[p.instruction, p.response] for p in known}
    with serving(script) as server:
        compared = judge(server.url, tmp_path).calibrated(decided, LABELLED, 30, 0.6)
        asked = len(server.bodies)
    assert compared.counts == counts
    assert compared.calibration and compared.calibration.decisions == decisions
    assert asked == (decisions if decisions >= 30 else 0)
    assert ("shown, does not reject" in compared.calibration.text) != counts


@pytest.mark.parametrize("counts", [True, False])
def test_below_the_bar_it_is_shown_and_above_it_rejects(counts, tmp_path):
    right = grounded("When is alarm A17 raised?", "When a pump runs dry for thirty seconds.")
    wrong = grounded(
        "How is the alarm reset?", "Hold the key for the pump and the lamp of the board."
    )

    def script(number, body):
        spoilt = "How is the alarm reset?" in body["messages"][-1]["content"]
        return chat(
            "UNSUPPORTED: The lamp is held.\nANSWERS" if spoilt else "SUPPORTED: a\nANSWERS"
        )

    people = [True] * 20 + [False] * 20
    calibration = calibrate(people, people if counts else [True] * 40, 30, 0.6, "reject")
    with serving(script) as server:
        asked = replace(judge(server.url, tmp_path), calibration=calibration)
        criteria = Criteria(("en",), asked)
        outcome = screen(
            pairs(right, wrong), chunks("a"), seed_tasks(), splits("a"), ScreenSettings(), criteria
        )
        passing = Screens(chunks("a"), seed_tasks(), ScreenSettings(), criteria).passing
        assert passing([right, wrong]) == outcome.kept.height
        assert len(server.bodies) == 2, "a verdict was paid for twice"
    assert outcome.balances
    assert outcome.reasons == ({"unsupported_claim": 1} if counts else {})
    assert outcome.metrics["judge_asked"] == 2 and outcome.metrics["judge_faulted"] == 1
    assert outcome.metrics["judge_counts"] == counts
    assert outcome.metrics["judge_decisions"] == 40
    assert (criteria.rejecting == ["en"]) != counts
    assert criteria.recipe != Criteria(("en",)).recipe


def test_a_reply_without_a_verdict_rejects_nothing_and_is_asked_for_again(tmp_path):
    mended = False

    def script(number, body):
        if mended or number == 0:
            return chat("SUPPORTED: it\nANSWERS")
        return chat("The claims are fine.")

    with serving(script) as server:
        asked = judge(server.url, tmp_path)
        asked.faults(LABELLED[:1])
        assert asked.faults(LABELLED[:2]) == [(), None]
        with pytest.raises(TeacherError, match=r"none of 1 replies can be read .*MISSES"):
            asked.faults(LABELLED[1:2])
        mended = True
        assert asked.faults(LABELLED[:2]) == [(), ()]
    assert len(server.bodies) == 4


def test_people_accept_a_pair_as_it_is_written_or_they_do_not():
    def said(pair, verdict, reviewer="ann", **edited):
        row = dict.fromkeys(("edited_instruction", "edited_response", "seconds"))
        return row | {
            "pair_id": pair * 16, "verdict": verdict, "flags": [], "note": "",
            "reviewer": reviewer, "decided_at": "2026-11-30T09:00:00Z",
        } | edited  # fmt: skip

    rows = [
        said("a", "accept"), said("b", "reject"), said("c", "edit", edited_response="Better."),
        said("d", "edit", edited_instruction="Better?"), said("e", "skip"),
        said("f", "accept"), said("f", "reject", "bob"),
        said("1", "accept"), said("1", "reject", "bob"), said("1", "reject", "cy"),
    ]  # fmt: skip
    found = as_written(table(Reviews, rows), "")
    assert found == {"a" * 16: True, "b" * 16: False, "c" * 16: False, "1" * 16: False}
