"""From a chunk back to its page, slide, chapter or characters."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.documents.clean.clean import clean
from pipeline.documents.lineage import LEAST_SHARE, Place, describe, locate
from pipeline.documents.readers.formats import extension, format_of, read
from pipeline.settings import CleanSettings, IngestSettings
from tests.pipeline.documents import making
from tests.pipeline.documents.packing import book, slides, zipped

NOTE = "Ask the office before you open the box."
WORDS = (
    *("valve", "pump", "tank", "seal", "pipe", "clock", "sensor", "relay", "bed", "water"),
    *("frost", "alarm", "screen", "cable", "probe", "gate", "fuse", "motor", "filter", "lamp"),
)


def prose(seed: int, words: int = 60) -> str:
    chance = random.Random(seed)
    return " ".join(f"{chance.choice(WORDS)} {chance.randrange(1000)}" for _ in range(words)) + "."


def raw_row(name: str, data: bytes, number: int = 0):
    """Return the raw document of one record of a file."""
    kind = format_of(extension(name), data)
    record = read(kind, data, IngestSettings(), name).records[number]
    row = making.raw(record.text, record.kind or kind, record.title)
    return row | {"source": f"{name}#{record.record}" if record.record else name}


def cleaned(row) -> str:
    (text,) = clean(making.raws(row), CleanSettings(profile="off", languages=())).kept["text"]
    return text


def lines(text: str, width: int = 60) -> list[str]:
    out = [""]
    for word in text.split():
        if len(out[-1]) + len(word) > width:
            out.append("")
        out[-1] = f"{out[-1]} {word}".strip()
    return out


def guide():
    """Return a PDF of six pages with a header, page numbers and a note on each of them."""
    pages = [
        [
            ("Fernwick guide", 0, 9, "F"),
            *making.body(*lines(prose(number))),
            *making.body(NOTE),
            *making.body("The gardener calls the elec-", f"trician number {number} at once."),
            *making.body(prose(number + 100, 6)),
            (f"Page {number} of 6", 40, 9, "F"),
        ]
        for number in range(1, 7)
    ]
    return raw_row("guide.pdf", making.pdf(pages))


def test_a_chunk_of_a_pdf_leads_back_to_its_page_past_headers_and_hyphens():
    row = guide()
    text = cleaned(row)
    assert "Fernwick" not in text
    for number in range(1, 7):
        start = text.index(prose(number)[:30])
        chunk = text[start : text.index(f"{number} at once") + len(str(number))]
        assert "the electrician" in chunk
        place = locate(row, chunk)
        assert place.pages == (number, number)
        assert describe(row, place) == f"guide.pdf, page {number}"
        assert row["text"][place.start :].startswith(prose(number)[:30])
        assert row["text"][: place.end].endswith(f"number {number}")


def test_a_chunk_across_a_page_break_has_both_pages():
    row = guide()
    text = cleaned(row)
    chunk = text[text.index("number 2 at") - 30 : text.index(prose(4)[:30]) + 60]
    assert describe(row, locate(row, chunk)) == "guide.pdf, pages 2-4"


def test_a_slide_is_found_by_its_number():
    row = raw_row("deck.pptx", slides())
    text = cleaned(row)
    assert describe(row, locate(row, text[text.index("# Limits") :])) == "deck.pptx, slide 2"
    assert locate(row, text[: text.index("# Limits")]).pages == (1, 1)
    assert locate(row, text).pages == (1, 2)


def test_a_chapter_of_a_book_is_its_source():
    row = raw_row("pumps.epub", book(f"<h1>Care</h1><p>{making.PROSE}</p>"))
    place = locate(row, cleaned(row))
    assert describe(row, place).startswith("pumps.epub#OEBPS/one page.xhtml, characters ")
    assert row["text"][place.start : place.end].endswith(making.PROSE[:-1])
    assert row["text"][place.start :].startswith(("Care</h1>", making.PROSE))


def test_tags_entities_and_scripts_of_a_page_are_no_words():
    page = (
        "<html><head><title>T</title><script>var opens = 'The controller';</script></head><body>"
        f"<nav>{prose(1, 5)}</nav><main><h1>Valves &amp; pumps</h1><p>The <b>control</b>ler "
        "opens the valve at 5&nbsp;&deg;C,<!-- not this --> when it is dry &amp; warm.</p>"
        f"<p>{prose(2)}</p></main></body></html>"
    )
    row = raw_row("a.html", page.encode())
    chunk = "The controller opens the valve at 5 °C, when it is dry & warm."
    place = locate(row, chunk)
    assert place.share == 1
    assert page[place.start : place.end].startswith("The <b>control</b>ler opens")
    assert page[place.start : place.end].endswith("dry &amp; warm")
    assert describe(row, place) == f"a.html, characters {place.start}-{place.end}"


def test_what_is_redacted_is_bridged():
    row = making.raw(f"# Help\n\n{prose(1)} Write to anna.berg@farm.example today. {prose(2)}")
    text = cleaned(row)
    assert "<EMAIL_1>" in text
    place = locate(row, text)
    assert LEAST_SHARE < place.share < 1
    assert row["text"][place.start : place.end] == row["text"][2:-1]


@pytest.mark.parametrize(
    ("raw", "chunk"),
    [
        ("Die Größe der Düse, ﬁxed.", "große DER Dü\u0308se, fixed"),
        ("Cafe\u0301 au lait", "Café au lait"),
        ("a\u00adb\u200bc d", "abc d"),
    ],
)
def test_accents_case_and_invisible_characters_do_not_count(raw: str, chunk: str):
    place = locate(making.raw(raw), chunk.replace("große", "grösse"))
    assert place.start in (0, 4)
    assert place.end >= len(raw) - 2


def test_of_a_repeated_sentence_the_one_among_its_neighbours_is_meant():
    text = "\n\n".join(f"{prose(number, 12)} {making.PROSE}" for number in range(9))
    row = making.raw(text)
    place = locate(row, f"{prose(5, 12)}\n\n{making.PROSE}")
    assert text[place.start :].startswith(prose(5, 12))
    assert place.end - place.start <= len(prose(5, 12)) + len(making.PROSE) + 2


@pytest.mark.parametrize("chunk", ["", "---", "A text that stands nowhere in it, not one word."])
def test_a_text_from_elsewhere_has_no_place(chunk: str):
    assert locate(making.raw(making.PROSE), chunk) is None
    assert locate(making.raw("..."), chunk) is None


def test_a_row_in_an_archive_counts_in_its_own_text():
    data = zipped({"t.csv": f'title,text\nCare,"{making.PROSE}"\n'})
    row = raw_row("all.zip", data)
    place = locate(row, making.PROSE)
    assert place == Place(0, len(making.PROSE) - 1)
    assert describe(row, place) == (
        f"all.zip#t.csv#1, characters 0-{len(making.PROSE) - 1} of its text"
    )


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 300), st.integers(12, 60))
def test_any_run_of_words_is_found_where_it_stands(seed: int, first: int, count: int):
    words = prose(seed, 200).rstrip(".").split()
    first = min(first, len(words) - count)
    chunk = " ".join(words[first : first + count])
    text = " ".join(words)
    place = locate(making.raw(text), chunk)
    assert text[place.start : place.end] == chunk
