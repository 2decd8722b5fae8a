"""Near duplicates as people mean them: copies with edits, pages inside others, and siblings."""

import random
from pathlib import Path

import polars as pl
import pytest

from pipeline.dedup.deduplicate import deduplicate
from pipeline.dedup.facts import FACTS, STAMPS
from pipeline.dedup.index import Index, write_segment
from pipeline.settings import DedupSettings
from tests.pipeline.dedup.corpus import corpus, edited, prose

DEFAULT = DedupSettings()


def kept(*texts: str, settings: DedupSettings = DEFAULT, **options: object) -> set[int]:
    """Return the numbers of the texts that stay."""
    documents = corpus({f"{number}.md": text for number, text in enumerate(texts)})
    outcome = deduplicate(documents, settings, **options)
    assert outcome.balances
    return {int(source.removesuffix(".md")) for source in outcome.kept["source"]}


def reasons(*texts: str) -> dict[str, int]:
    return dict(
        deduplicate(corpus({f"{n}.md": text for n, text in enumerate(texts)}), DEFAULT).reasons
    )


PAGE = prose(3, 400)


def test_a_copy_with_one_word_in_twenty_changed_goes():
    assert len(kept(PAGE, edited(PAGE, 20))) == 1
    assert len(kept(PAGE, edited(PAGE, 80))) == 2


def test_a_page_inside_a_longer_one_goes_for_it_whatever_their_lengths():
    for times in (1, 4, 30):
        longer = f"{prose(5, 200 * times)} {PAGE} {prose(6, 200 * times)}"
        assert kept(PAGE, longer) == {1}
    assert reasons(PAGE, longer) == {"contained": 1}


def test_a_page_with_a_section_of_its_own_stays():
    own = PAGE + " " + prose(8, 100)
    longer = f"{prose(5, 500)} {PAGE} {prose(6, 500)}"
    assert kept(own, longer) == {0, 1}


def test_a_short_page_is_found_inside_a_long_one():
    short = prose(9, 60)
    assert kept(short, f"{prose(5, 2000)} {short} {prose(6, 2000)}") == {1}


def test_of_pages_inside_each_other_the_longest_stays_and_is_named():
    inner, middle = PAGE, f"{PAGE} {prose(5, 300)}"
    outer = f"{middle} {prose(6, 600)}"
    documents = corpus({"inner.md": inner, "middle.md": middle, "outer.md": outer})
    outcome = deduplicate(documents, DEFAULT)
    assert outcome.kept["source"].to_list() == ["outer.md"]
    assert set(outcome.dropped["related_id"]) == set(outcome.kept["doc_id"])
    assert outcome.kept["cluster_size"].to_list() == [3]


def test_a_preferred_page_and_an_accepted_one_stay_though_another_holds_them(tmp_path: Path):
    longer = f"{prose(5, 300)} {PAGE}"
    preferred = DedupSettings(preferred_sources=("0.md",))
    assert kept(PAGE, longer, settings=preferred) == {0, 1}
    assert kept(longer, PAGE, settings=preferred) == {0}
    for first, second, stay in ((PAGE, longer, {0, 1}), (longer, PAGE, {0})):
        folder = tmp_path / str(len(stay))
        folder.mkdir()
        write_segment(folder, corpus({"0.md": first}), DEFAULT)
        index = Index([folder])
        assert kept(first, second, accepted=index) == stay


def test_containment_can_be_turned_off():
    assert kept(PAGE, f"{PAGE} {prose(5, 400)}", settings=DedupSettings(containment=0)) == {0, 1}


def numbered(draw: random.Random, sentences: int = 14) -> str:
    """A page of a template: sentences with a number each."""
    return " ".join(f"{prose(n, 9)} {draw.randint(2, 999)}." for n in range(sentences))


@pytest.mark.parametrize("count", [2, 40])
def test_pages_of_a_template_stay_unless_numbers_are_no_facts(count: int):
    pages = [numbered(random.Random(seed)) for seed in range(count)]
    assert len(kept(*pages)) == count
    same = DedupSettings(keep_siblings=False, max_cluster_share=1.0)
    assert len(kept(*pages, settings=same)) == 1


def test_a_copy_of_a_page_of_a_template_goes_for_its_own_original():
    pages = [numbered(random.Random(seed)) for seed in range(5)]
    copy = pages[3].replace("pump", "pumps", 3)
    documents = corpus({f"{n}.md": text for n, text in enumerate((*pages, copy))})
    outcome = deduplicate(documents, DEFAULT)
    ids = dict(documents.select("source", "doc_id").iter_rows())
    pair = {outcome.dropped["id"].item(), outcome.dropped["related_id"].item()}
    assert pair == {ids["3.md"], ids["5.md"]}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("upgrade from 4.1 to 4.2", "upgrade from 5.1 to 5.2"),
        ("it starts at +5 degrees", "it starts at -5 degrees"),
        ("it starts at `5` degrees", "it starts at `-5` degrees"),
        ("a guide to C for all", "a guide to C++ for all"),
        ("a guide to C++ for all", "a guide to C# for all"),
        ("while a < b: a += c", "while a > b: a -= c"),
        ("alarm A17 is shown", "alarm A18 is shown"),
        ("3 5 8 13 21", "2 4 6 8 10"),
        ("open from 10:30", "open from 11:30"),
    ],
)
def test_a_single_fact_tells_two_pages_apart(one: str, other: str):
    assert len(kept(f"{PAGE} {one} {PAGE[:300]}", f"{PAGE} {other} {PAGE[:300]}")) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Printed on 3 October 2020, page 4.", "Printed on 28 November 2021, page 17."),
        ("Last changed 2020-10-03 10:15:00.", "Last changed 2021-11-28T09:02."),
        ("Stand: 3. Oktober 2020, Seite 4 von 9", "Stand: 28. November 2021, Seite 5 von 10"),
        ("October 3, 2020", "November 28, 2021"),
        ("10/03/2020 at 10:15", "11/28/2021 at 09:02"),
        ("le 3 octobre 2020", "le 28 novembre 2021"),
        ("2020年10月3日", "2021年11月28日"),
        ("\n\n1. first\n\n2. second", "\n\n- first\n\n- second"),
        ("\n\n> quoted\n\n=====\n", "\n\nquoted\n\n"),
        ("**-5** `x` <br> it", "-5 x it"),
    ],
)
def test_dates_page_numbers_and_marks_of_layout_are_no_facts(one: str, other: str):
    assert len(kept(f"{PAGE}\n\n{one}", f"{PAGE}\n\n{other}")) == 1


@pytest.mark.parametrize("place", ["whole", "inside"])
def test_pages_about_two_things_in_the_same_words_stay(place: str):
    words = PAGE.split()
    for at in range(0, 400, 40):  # a name ten times: one word in forty
        words[at] = "Northgate"
    page = " ".join(words)
    around = prose(5, 600) if place == "inside" else ""
    assert len(kept(page, page.replace("Northgate", "Southgate") + around)) == 2
    assert len(kept(page, page.replace("Northgate", "Southgate", 2) + around)) == 1


def test_addresses_and_tags_are_no_names():
    row = f"{prose(7, 12)}<br>"
    links = " ".join(f"[{word}](https://docs.example.org/{word})" for word in prose(8, 9).split())
    rich = f"{PAGE} {row * 4} {links}"
    plain = f"{PAGE} {row.replace('<br>', ' ') * 4} {prose(8, 9)}"
    assert len(kept(rich, plain)) == 1


def test_edits_that_hit_numbers_as_often_as_words_make_no_sibling():
    draw = random.Random(4)
    words = numbered(draw, 42).split()
    numbers = [place for place, word in enumerate(words) if word[0].isdigit()]
    changed = [*draw.sample(range(len(words)), 8), numbers[5]]
    copy = [draw.choice(words) if place in changed else word for place, word in enumerate(words)]
    assert len(kept(" ".join(words), " ".join(copy))) == 1


def test_facts_of_a_text():
    text = "It costs 19 euros; -5 degrees, P-20 and A17 at 4.2.1. C# on 2020-10-03, page 4: a->b"
    found = pl.Series([text]).str.replace_all(STAMPS, " ").str.extract_all(FACTS).item()
    assert [fact.strip() for fact in found] == ["19", "-5", "20", "A17", "4.2.1", "C#", "->"]
