from pipeline.core.outcome import table
from pipeline.pairs.examples import to_examples
from pipeline.settings import TaskSettings
from schemas.pairs import Examples, SettledPairs
from tests.pipeline.pairs.test_review import make_pairs


def settled(*changes):
    rows = make_pairs(len(changes)).iter_rows(named=True)
    return table(
        SettledPairs,
        [
            row
            | {"status": "accepted", "original_instruction": None, "original_response": None}
            | {"reviewer": "Ann"}
            | change
            for row, change in zip(rows, changes, strict=True)
        ],
    )


def written(pairs, system_prompt="", turns="all"):
    return to_examples(pairs, TaskSettings(system_prompt=system_prompt, turns=turns))


def test_a_pair_becomes_a_user_and_an_assistant_message():
    outcome = written(settled({"instruction": "Sort it. ", "input": " b a", "response": "a b\n"}))
    Examples.validate(outcome.kept, lazy=True)
    assert outcome.kept["messages"].to_list() == [
        [{"role": "user", "content": "Sort it.\n\nb a"}, {"role": "assistant", "content": "a b"}]
    ]


def test_without_an_input_the_instruction_stands_alone():
    assert written(settled({"input": " "})).kept["messages"][0][0]["content"] == "Question 0?"


def test_an_empty_message_is_dropped_with_its_reason():
    outcome = written(settled({"response": " "}, {"instruction": ""}, {}))
    assert outcome.balances and outcome.reasons == {"empty_message": 2} and outcome.kept.height == 1


def test_row_order_does_not_matter():
    pairs = settled(*[{}] * 9)
    assert written(pairs).kept.equals(written(pairs[::-1]).kept)


def test_no_pairs_make_no_examples():
    outcome = written(settled())
    Examples.validate(outcome.kept, lazy=True)
    assert outcome.rows_in == 0 and outcome.balances


def test_the_system_prompt_and_each_turn_of_the_assistant_is_in_the_rows():
    history = [
        {"role": "user", "content": "What is P1?"},
        {"role": "assistant", "content": "A pump."},
    ]
    pairs = settled({"history": history, "instruction": "How heavy is it?", "response": "3 kg"})
    outcome = written(pairs, "You know pumps.")
    assert written(pairs, turns="last").kept.height == 1
    Examples.validate(outcome.kept, lazy=True)
    first = {"role": "system", "content": "You know pumps."}
    last = [
        {"role": "user", "content": "How heavy is it?"},
        {"role": "assistant", "content": "3 kg"},
    ]
    rows = sorted(outcome.kept["messages"].to_list(), key=len)
    assert rows == [[first, *history], [first, *history, *last]]
    assert outcome.balances and outcome.metrics["earlier_turns"] == 1
    assert outcome.kept["cluster_id"].n_unique() == outcome.kept["split"].n_unique() == 1
