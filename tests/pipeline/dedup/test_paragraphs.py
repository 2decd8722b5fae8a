"""Repeated paragraphs are found, counted, and taken out of all documents but one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.core.validation import validate
from pipeline.dedup.paragraphs import find_repeated, trim
from pipeline.documents.clean.cleaning import too_short
from pipeline.documents.clean.profiles import rules_of
from pipeline.settings import ParagraphSettings
from schemas.documents import Documents, RepeatedParagraphs
from tests.pipeline.dedup.corpus import corpus, prose

NOTE = "The supplier is not liable for plants that were lost in a power cut at night."
ASK = ParagraphSettings(min_documents=3, min_words=5)


def anything(text):
    return None


def trimmed(texts, ask=ASK, judge=anything):
    documents = corpus(texts)
    found = find_repeated(documents, ask)
    outcome = trim(documents, found.kept, judge)
    assert outcome.balances and found.balances
    return dict(outcome.kept.select("source", "text").rows()), outcome, found


def pages(count, body="{own}\n\n{note}"):
    return {f"{n}.md": body.format(own=prose(n, 30), note=NOTE) for n in range(count)}


def test_a_paragraph_of_many_documents_is_counted():
    texts = pages(5)
    texts["0.md"] += f"\n\n{NOTE.upper()}"
    found = find_repeated(corpus(texts), ASK)
    (row,) = validate(found.kept, RepeatedParagraphs, "repeated").to_dicts()
    assert row["text"] == NOTE and row["words"] == 16 and row["characters"] == len(NOTE)
    assert (row["documents"], row["occurrences"]) == (5, 6)
    assert row["sources"] == ["0.md", "1.md", "2.md"]
    assert found.metrics == {
        "paragraphs": 1,
        "occurrences": 6,
        "spare_characters": 5 * len(NOTE),
        "uncounted": 0,
    }
    assert found.rows_in == found.rows_kept == 5


@pytest.mark.parametrize(
    ("ask", "count"),
    [
        ({"min_documents": 4}, 1),
        ({"min_documents": 5}, 0),
        ({"min_documents": 2, "min_share": 1.0}, 1),
        ({"min_documents": 2, "min_words": 17}, 0),
    ],
)
def test_few_documents_or_few_words_are_no_boilerplate(ask, count):
    ask = ParagraphSettings(**{"min_words": 5} | ask)
    assert find_repeated(corpus(pages(4)), ask).kept.height == count
    more = pages(4) | {"other.md": prose(77)}
    repeated = find_repeated(corpus(more), ask).kept.height
    assert repeated == (0 if ask.min_share == 1 else count)


def test_a_paragraph_that_repeats_within_one_document_is_no_boilerplate():
    texts = {"a.md": f"{NOTE}\n\n" * 9, "b.md": NOTE, "c.md": prose(3)}
    assert find_repeated(corpus(texts), ASK).kept.height == 0


def test_headings_and_code_are_no_boilerplate():
    code = "```\nrun the pump at noon and at night\n\nstop\n```"
    body = f"# One long heading over every page of it\n\n{code}\n\n{{own}}"
    assert find_repeated(corpus(pages(6, body)), ASK).kept.height == 0


def test_one_copy_stays_in_the_document_that_sorts_first():
    texts, outcome, _ = trimmed(pages(5))
    assert NOTE in texts["0.md"]
    assert [texts[f"{n}.md"] for n in range(1, 5)] == [prose(n, 30) for n in range(1, 5)]
    assert outcome.metrics["paragraphs"] == outcome.metrics["documents"] == 4
    assert outcome.metrics["characters"] == 4 * (len(NOTE) + 2)
    validate(outcome.kept, Documents, "kept")


def test_the_first_document_keeps_one_copy_only():
    texts, _, _ = trimmed(pages(3) | {"0.md": f"{NOTE}\n\n{prose(9)}\n\n{NOTE.upper()}\n\nEnd."})
    assert texts["0.md"] == f"{NOTE}\n\n{prose(9)}\n\nEnd."


def test_code_around_a_repeated_paragraph_stays_whole():
    code = f"```text\n{NOTE}\n\n{NOTE}\n```"
    texts, _, _ = trimmed(pages(4, "{own}\n" + code + "\n{note}\n" + code + "\nend"))
    assert texts["2.md"] == f"{prose(2, 30)}\n{code}\n\n{code}\nend"
    assert texts["0.md"] == f"{prose(0, 30)}\n{code}\n{NOTE}\n{code}\nend"


def test_what_stood_apart_does_not_grow_together():
    texts, _, _ = trimmed(pages(4, "{own}\n# Note\n{note}\n# Next\nlast"))
    assert texts["1.md"] == f"{prose(1, 30)}\n\n# Next\nlast"


def test_a_heading_goes_with_the_last_paragraph_under_it():
    body = (
        "# Page\n\n{own}\n\n## Legal\n\n### Liability\n\n{note}\n\n## Empty\n\n"
        "## Next\n\n{note}\n\nMore."
    )
    texts, _, _ = trimmed(pages(4, body))
    assert texts["1.md"] == f"# Page\n\n{prose(1, 30)}\n\n## Empty\n\n## Next\n\nMore."
    assert "### Liability" in texts["0.md"]


def test_a_heading_over_another_section_stays():
    texts, _, _ = trimmed(pages(4, "# Legal\n\n{note}\n\n## Own\n\n{own}"))
    assert texts["3.md"] == f"# Legal\n\n## Own\n\n{prose(3, 30)}"


def test_a_document_of_boilerplate_alone_is_dropped_and_says_where_it_stays():
    texts = pages(4) | {"9.md": f"# Legal\n\n{NOTE}"}
    _, outcome, _ = trimmed(texts)
    (drop,) = outcome.dropped.to_dicts()
    assert drop["reason"] == "only_repeated_paragraphs"
    assert drop["excerpt"].startswith("9.md: # Legal") and (drop["value"], drop["threshold"]) == (
        0,
        1,
    )
    assert drop["related_id"] == corpus(texts).filter(source="0.md")["doc_id"].item()


def test_a_document_of_which_less_is_left_than_cleaning_asks_is_dropped():
    rules = rules_of("technical", {})
    texts = pages(4) | {"9.md": f"Three own words.\n\n{NOTE}\n\n{NOTE}"}
    kept, outcome, _ = trimmed(texts, judge=lambda text: too_short(text, rules))
    (drop,) = outcome.dropped.to_dicts()
    assert "9.md" not in kept and (drop["value"], drop["threshold"]) == (3, 20)


@pytest.mark.parametrize("count", [0, 1])
def test_a_corpus_without_boilerplate_stays_as_it_is(count):
    texts = {f"{n}.md": prose(n) + "\n\n\n# odd  \n\ttext" for n in range(count)}
    kept, outcome, found = trimmed(texts)
    assert kept == texts and found.kept.height == 0
    assert found.kept.schema == validate(found.kept, RepeatedParagraphs, "repeated").schema
    assert outcome.metrics["documents"] == 0


PARTS = [NOTE, "# Head", "## Sub", "own text of five words", "```\na\n\nb\n```", "x"]


@settings(deadline=None)
@given(
    st.lists(st.lists(st.sampled_from(PARTS), min_size=1, max_size=5), min_size=1, max_size=8),
    st.randoms(),
)
def test_neither_order_matters_nor_is_anything_left_to_take_out(pieces, chance):
    texts = {f"{n}.md": "\n\n".join(own) for n, own in enumerate(pieces)}
    documents = corpus(texts)
    ask = ParagraphSettings(min_documents=2, min_words=5)
    kept, outcome, found = trimmed(texts, ask)
    shuffled = documents.sample(fraction=1, shuffle=True, seed=chance.randrange(99))
    again = find_repeated(shuffled, ask)
    assert again.kept.equals(found.kept)
    assert trim(shuffled, again.kept, anything).kept.equals(outcome.kept)
    for text in found.kept["text"]:
        assert sum(text in left for left in kept.values()) == 1, "one copy of each stays"
    if kept:
        assert find_repeated(outcome.kept, ask).kept.height == 0
    for source, left in kept.items():
        assert left.count("```") == texts[source].count("```")


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("it  OPENS\nat 5\tbar in the STRASSE.", True),
        ("It opens at 6 bar in the Straße.", False),
        ("It opens at -5 bar in the Straße.", False),
    ],
)
def test_case_and_white_space_make_no_difference_numbers_and_signs_do(other, same):
    texts = {"a.md": "It opens at 5 bar in the Straße.", "b.md": other}
    ask = ParagraphSettings(min_documents=2, min_words=5)
    assert find_repeated(corpus(texts), ask).kept.height == same
