from pipeline.core.outcome import table
from pipeline.pairs.examples import to_examples
from schemas.pairs import Examples, SettledPairs
from tests.pipeline.pairs.test_review import make_pairs


def settled(*changes):
    rows = make_pairs(len(changes)).iter_rows(named=True)
    return table(
        SettledPairs,
        [
            row | {"status": "accepted", "original_response": None, "reviewer": "Ann"} | change
            for row, change in zip(rows, changes, strict=True)
        ],
    )


def test_a_pair_becomes_a_user_and_an_assistant_message():
    outcome = to_examples(
        settled({"instruction": "Sort it. ", "input": " b a", "response": "a b\n"})
    )
    Examples.validate(outcome.kept, lazy=True)
    assert outcome.kept["messages"].to_list() == [
        [{"role": "user", "content": "Sort it.\n\nb a"}, {"role": "assistant", "content": "a b"}]
    ]


def test_without_an_input_the_instruction_stands_alone():
    assert to_examples(settled({"input": " "})).kept["messages"][0][0]["content"] == "Question 0?"


def test_an_empty_message_is_dropped_with_its_reason():
    outcome = to_examples(settled({"response": " "}, {"instruction": ""}, {}))
    assert outcome.balances and outcome.reasons == {"empty_message": 2} and outcome.kept.height == 1


def test_row_order_does_not_matter():
    pairs = settled(*[{}] * 9)
    assert to_examples(pairs).kept.equals(to_examples(pairs[::-1]).kept)


def test_no_pairs_make_no_examples():
    outcome = to_examples(settled())
    Examples.validate(outcome.kept, lazy=True)
    assert outcome.rows_in == 0 and outcome.balances
