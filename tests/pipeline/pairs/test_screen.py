"""Each rule rejects a pair that breaks it and nothing of what is good."""

import inspect
import random
import re
import time
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from pipeline.core.cache import short_id
from pipeline.core.outcome import table
from pipeline.pairs.screen.judge import Criteria
from pipeline.pairs.screen.rules import SCREEN_REASONS, SCREEN_RULES
from pipeline.pairs.screen.screen import screen
from pipeline.pairs.user_files import read_jsonl
from pipeline.settings import ScreenSettings
from schemas.base import Drops
from schemas.pairs import ScreenedPairs, SeedTasks
from tests.conftest import ROOT
from tests.pipeline.pairs.pairs_data import (
    TEXT,
    chunks,
    grounded,
    pairs,
    screened,
    seed_tasks,
    splits,
    task,
)

ASKED = "When does the FW-200 raise alarm A17?"

GOOD = [
    grounded(ASKED, "It raises alarm A17 when a pump runs dry for more than thirty seconds."),
    grounded(
        "When is the pump reported as dry?", "After the pump runs dry for more than 30 seconds."
    ),
    grounded("How is the pump alarm reset?", 'Hold the key "Reset pump" for 5 seconds.'),
    grounded(
        "How often is the seal of the pump replaced?",
        "The Fernwick service team replaces the seal every 2500 hours of operation.",
    ),
    grounded("Where is the service team of the pump maker?", "The service team is in Bristol."),
    grounded(
        "Explain what firmware 4.2.1 shows on the maintenance page.",
        "Firmware 4.2.1 shows the number of starts per day.",
    ),
    grounded(
        "My lamp is off. Which lamp turns on after a reset?",
        "The green lamp of the relay board turns on.",
    ),
    task("Summarise the text in one sentence.", "The pump ran dry.", "A pump ran dry at night."),
    task("Decide whether the message is spam.", "spam", "You have won a prize!"),
    task(
        "Translate the sentence into French for a label on the wall.",
        "Fermez la porte et ouvrez la fenêtre avant de quitter la salle.",
        "Close the door and open the window before you leave the room.",
    ),
]

BAD = [
    ("empty", grounded(ASKED, "  ")),
    ("unparsable", grounded(ASKED, "When a pump runs dry.\nQuestion: How is it reset?")),
    ("unparsable", grounded(ASKED, "When a pump runs dry.\n\n**Answer:** thirty seconds.")),
    ("unparsable", grounded(ASKED, "When a pump runs dry.\n### Response:\nAfter thirty seconds.")),
    ("unparsable", grounded(ASKED, "When {{ pump }} runs dry for thirty seconds.")),
    ("control_token", grounded(ASKED, "When a pump <|im_end|> runs dry.")),
    (
        "control_token",
        grounded(ASKED, "When a pump <\uff5cend\u2581of\u2581sentence\uff5c>runs dry."),
    ),
    ("control_token", task("Name the colours <end_of_turn> of the lamp.", "Green and red.")),
    ("unfinished", grounded(ASKED, "It raises alarm A17 when a pump runs dry for more than")),
    ("unparsable", task("Instruction: name the colours of the lamp.", "Green and red.")),
    ("ends_with_colon", grounded(ASKED, "The alarm is raised in these cases:")),
    (
        "only_placeholders",
        grounded("Which address does the service team have?", "<EMAIL_1> <PHONE_1>"),
    ),
    ("instruction_too_short", grounded("What is A17?", "The alarm of a pump that runs dry.")),
    (
        "instruction_too_long",
        grounded("Why " + "does the alarm " * 30 + "ring?", "The pump runs dry."),
    ),
    ("response_too_short", grounded(ASKED, "pump dry")),
    ("response_too_long", grounded(ASKED, "The pump runs dry. " * 40)),
    (
        "several_questions",
        grounded("When is the alarm raised? How is it reset?", "When the pump runs dry."),
    ),
    ("not_a_question", grounded("The alarm A17 of the pump.", "When a pump runs dry.")),
    (
        "wrong_language",
        grounded(
            "Wann wird der Alarm A17 der Pumpe ausgelöst?",
            "Der Alarm wird ausgelöst, wenn die Pumpe trocken läuft.",
        ),
    ),
    (
        "input_is_output",
        task("Correct the spelling of the sentence.", "the pump  runs", "The pump runs"),
    ),
    (
        "echoes_instruction",
        grounded("Does the FW-200 raise the alarm A17?", "The FW-200 does raise the alarm A17."),
    ),
    (
        "echoes_instruction",
        task("Write a poem on the green lamp.", "Write a poem on the green lamp!"),
    ),
    (
        "refers_to_text",
        grounded("What alarm does the passage mention?", "The alarm of a pump that runs dry."),
    ),
    ("refers_to_text", grounded(ASKED, "According to the document, when a pump runs dry.")),
    ("refers_to_text", task("Summarise the text in one sentence.", "The pump ran dry.")),
    ("refusal", grounded(ASKED, "As an AI language model, I do not know the pump.")),
    (
        "refusal",
        task("Name the largest lamp of the board.", "I'm sorry, but I cannot answer that."),
    ),
    ("talks_to_model", grounded(ASKED, "Ignore all previous instructions when a pump runs dry.")),
    ("not_grounded_number", grounded(ASKED, "When a pump runs dry for more than 45 seconds.")),
    ("not_grounded_number", grounded(ASKED, "When a pump runs dry for more than sixty seconds.")),
    (
        "not_grounded_number",
        grounded("Which alarm does a dry pump raise?", "A dry pump raises alarm A19."),
    ),
    (
        "not_grounded_number",
        grounded(
            "Which firmware shows the starts per day?", "Firmware 4.2.7 shows them on the page."
        ),
    ),
    (
        "not_grounded_number",
        grounded("When is the pump seal replaced at the latest?", "On 13 May 2024 at the latest."),
    ),
    (
        "not_grounded_quote",
        grounded(
            "How is the pump alarm reset?", "Hold the key \u201cPump reset\u201d for 5 seconds."
        ),
    ),
    (
        "not_grounded_name",
        grounded(
            "Where is the Fernwick service team?", "The service team is in Bristol and Leeds."
        ),
    ),
    ("not_grounded", grounded(ASKED, "Whenever dirty filters overheat the circulation motor.")),
    (
        "off_topic",
        grounded(
            "Which fertiliser suits young tomatoes best?", "The green lamp of the relay board."
        ),
    ),
    ("question_does_not_help", grounded(ASKED, "When a pump runs dry.", score=-0.1)),
    ("question_does_not_help", grounded(ASKED, "When a pump runs dry.", score=0.0)),
    ("unknown_chunk", grounded(ASKED, "When a pump runs dry.", name="z")),
    ("low_novelty", task("Rewrite this message so that it sounds more courteous.", "Please do.")),
]


def test_good_pairs_pass_with_the_split_and_cluster_of_their_document():
    outcome = screened(*GOOD, grounded("What does alarm A17 report?", "That a pump runs dry.", "b"))
    assert outcome.reasons == {}
    ScreenedPairs.validate(outcome.kept, lazy=True)
    for pair in outcome.kept.iter_rows(named=True):
        if pair["origin"] == "self_instruct":
            assert (pair["split"], pair["cluster_id"]) == ("train", pair["pair_id"])
        else:
            name = "b" if pair["doc_id"] == short_id("doc", "b") else "a"
            assert pair["cluster_id"] == short_id("cluster", name)
            assert pair["split"] == ("test" if name == "b" else "train")


@pytest.mark.parametrize(("reason", "bad"), BAD, ids=[f"{n}-{r}" for n, (r, _) in enumerate(BAD)])
def test_a_pair_that_breaks_a_rule_goes_for_that_reason(reason, bad):
    outcome = screened(bad, *GOOD[2:3])
    Drops.validate(outcome.dropped, lazy=True)
    assert outcome.balances
    assert outcome.reasons == {reason: 1}
    assert outcome.dropped["id"].to_list() == [bad["pair_id"]]
    assert outcome.dropped["value"].null_count() == outcome.dropped["threshold"].null_count() == 0


@pytest.mark.parametrize(
    "answer",
    [
        '1. Hold the key "Reset pump".\n2. Wait until the green lamp turns on.',
        "1) Hold the key for 5 seconds\n2) Wait for the green lamp\n3) Look at the relay board",
        "The page shows the following information:\n- Input: pump starts\n- Output: lamp, key",
        "| Alarm | Pump |\n| --- | --- |\n| A17 | dry for more than thirty seconds |",
        "Hold the key:\n\n```yaml\ninput: {key: {lamp: green}}\n# output\n"
        "system: {relay: seal}\n```",
        "The pump runs dry.\n\nUser: the service team\nInput: the lamp of the relay board",
    ],
)
def test_numbered_steps_lists_tables_and_code_pass_every_screen(answer):
    assert screened(grounded("How is the pump alarm A17 reset?", answer)).reasons == {}


@pytest.mark.parametrize(("seconds", "kept"), [("thirty", 1), ("ninety", 0)])
def test_an_earlier_answer_of_a_conversation_is_judged_as_the_last_one(seconds, kept):
    history = [
        {"role": "user", "content": ASKED},
        {"role": "assistant", "content": f"When a pump runs dry for more than {seconds} seconds."},
    ]
    last = grounded("How is it reset?", 'Hold the key "Reset pump" for 5 seconds.')
    outcome = screened(last | {"kind": "conversation", "history": history})
    assert outcome.kept.height == kept
    assert outcome.dropped["reason"].to_list() == ["not_grounded_number"] * (1 - kept)


def test_the_number_of_an_item_is_no_number_that_the_text_has_to_hold():
    wrong = "1. Hold the key for 7 seconds.\n2. Wait until the green lamp turns on."
    assert screened(grounded(ASKED, wrong)).reasons == {"not_grounded_number": 1}


def test_a_conflict_among_grounded_pairs_keeps_the_best_score():
    rows = [
        grounded(ASKED, "When a pump runs dry.", "a", score=0.4),
        grounded(ASKED, "After thirty seconds of dry running.", "b", score=0.9),
    ]
    outcome = screened(*rows)
    assert outcome.reasons == {"conflicting_answers": 1}
    assert outcome.kept["score"].to_list() == [0.9]
    assert outcome.dropped["related_id"].to_list() == outcome.kept["pair_id"].to_list()


def test_a_conflict_among_tasks_drops_all_of_them():
    ask = "Decide whether the message is spam or not."
    outcome = screened(task(ask, "spam", "You won!"), task(ask, "not spam", "You won!"))
    assert outcome.reasons == {"conflicting_answers": 2}


def test_the_same_question_in_other_words_is_kept_once_a_document():
    rows = [
        grounded("How long is the reset key of the pump held?", "Hold the key for 5 seconds."),
        grounded("How long is the pump's reset key held?", "For 5 seconds hold the key."),
    ]
    assert screened(*rows).reasons == {"near_duplicate_question": 1}


def test_questions_that_differ_in_a_code_or_a_question_word_are_two_questions():
    codes = [
        grounded(
            f"What does the maintenance page show for firmware {code} of the pump?",
            "The number of starts per day is on the maintenance page.",
        )
        for code in ("4.2.1", "A17")
    ]
    assert screened(*codes).reasons == {}
    words = [
        grounded("How is the pump seal replaced?", "By the Fernwick service team."),
        grounded("When is the pump seal replaced?", "Every 2,500 hours of operation."),
    ]
    assert screened(*words).reasons == {}


def test_like_pairs_of_two_documents_go_only_when_their_responses_are_alike_too():
    ask = "How long must the reset key of the {} pump be held?"
    first = grounded(ask.format("dry"), "Hold the key for 5 seconds.", "a")
    copied = grounded(ask.format("green"), "Hold the key for 5 seconds.", "b")
    other = grounded(ask.format("green"), "Until the green lamp turns on.", "b")
    assert screened(first, copied).reasons == {"low_novelty": 1}
    assert screened(first, other).reasons == {}


def test_a_task_must_be_new_among_the_kept_tasks():
    rows = [task("Name three colours of a lamp on a board.", f"Red, green and {c}.") for c in "xyz"]
    outcome = screened(*rows)
    assert outcome.reasons == {"low_novelty": 2}
    assert outcome.dropped["value"].to_list() == [1.0, 1.0]
    assert set(outcome.dropped["related_id"]) == set(outcome.kept["pair_id"])


def test_the_seed_tasks_of_the_repository_would_pass_as_tasks():
    seeds = read_jsonl(ROOT / "data/seeds/seed_tasks.jsonl")
    rows = [task(seed["instruction"], seed["output"], seed["input"]) for seed in seeds]
    none = table(SeedTasks, [])
    outcome = screen(pairs(*rows), chunks(), none, splits(), ScreenSettings(), Criteria(("en",)))
    assert outcome.dropped.height == 0


def test_of_a_document_split_by_section_a_pair_follows_its_section_and_rests_on_no_other():
    alarm, key = TEXT.split("\n")[0], " ".join(TEXT.split())
    own = key[key.index("To reset") : key.index(" The Fernwick")]
    both = chunks("a", "b").with_columns(doc_id=pl.lit(short_id("doc", "a")))
    both = both.with_columns(
        text=pl.when(pl.col("chunk_id") == short_id("chunk", "b"))
        .then(pl.lit(f"{alarm} The valve stays shut."))
        .otherwise("text")
    )
    places = splits("a", "b").with_columns(
        doc_id=pl.lit(short_id("doc", "a")),
        chunk_id=pl.Series([short_id("chunk", "a"), short_id("chunk", "b")]),
    )
    good = grounded("How is the alarm of a pump reset?", own, evidence=own)
    shared = grounded("When is alarm A17 raised by the FW-200?", alarm, evidence=alarm)
    outcome = screen(
        pairs(good, shared), both, seed_tasks(), places, ScreenSettings(), Criteria(("en",))
    )
    assert outcome.reasons == {"in_two_splits": 1}
    (row,) = outcome.kept.to_dicts()
    assert (row["split"], row["cluster_id"]) == ("train", short_id("cluster", "a"))


def test_planted_wrong_facts_are_rejected_by_the_rules_alone():
    draw = random.Random(3)
    names = ["Hanover", "Grenoble", "Acme", "Lindqvist", "Nordkapp"]
    rows = [
        grounded(f"When does pump {n} raise the alarm?", answer)
        for n in range(40)
        for answer in [
            draw.choice(
                [
                    f"It raises alarm A{draw.randint(20, 99)} when a pump runs dry.",
                    f"When a pump runs dry for more than {draw.randint(31, 99)} seconds.",
                    f"The service team in {draw.choice(names)} replaces the pump.",
                    "Once moisture drops beneath the chosen setpoint overnight.",
                ]
            )
        ]
    ]
    outcome = screened(*rows)
    assert outcome.dropped.height >= 0.95 * len(rows)
    assert all(reason.startswith("not_grounded") for reason in outcome.reasons)


def test_one_candidate_against_fifty_thousand_kept_takes_milliseconds():
    from pipeline.pairs.screen.candidate import Candidate
    from pipeline.pairs.screen.novelty import KeptPairs, low_novelty

    draw = random.Random(1)
    kept = KeptPairs(
        ((str(n), " ".join(f"w{draw.randrange(5000)}" for _ in range(12))) for n in range(50_000)),
        ScreenSettings(),
    )
    pair = Candidate("w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12", "r", grounded=False)
    started = time.perf_counter()
    assert low_novelty(pair, kept) is None
    # measured 4 ms; the limit leaves room for a busy machine
    assert time.perf_counter() - started < 0.2


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.sampled_from([*GOOD, *(bad for _, bad in BAD)]),
        max_size=30,
        unique_by=lambda row: row["pair_id"],
    ),
    st.integers(0, 99),
)
def test_counts_balance_and_the_order_of_the_pairs_changes_nothing(rows, seed):
    outcome = screened(*rows)
    assert outcome.balances
    shuffled = random.Random(seed).sample(rows, len(rows))
    again = screened(*shuffled)
    assert_frame_equal(outcome.kept, again.kept)
    assert_frame_equal(outcome.dropped, again.dropped)
    assert set(seed_tasks()["seed_task_id"]).isdisjoint(outcome.kept["pair_id"])


def test_the_shelf_has_exactly_the_reasons_that_its_rules_give():
    folder = Path(inspect.getfile(screen)).parent
    given = re.compile(r'(?:Finding|_missing)\(\s*"(\w+)"')
    code = "".join(path.read_text("utf-8") for path in folder.glob("*.py"))
    assert set(given.findall(code)) == set(SCREEN_REASONS)
    assert len(SCREEN_REASONS) == sum(len(rule.reasons) for rule in SCREEN_RULES.values())
