"""What is planted in data/samples, by the table in data/README.md, is found."""

import re
from collections import defaultdict
from pathlib import Path

import polars as pl
import pytest

from pipeline.documents.clean.clean import clean
from pipeline.settings import CleanSettings
from tests.conftest import ROOT
from tests.pipeline.documents import making

SAMPLES = ROOT / "data" / "samples"


def planted() -> dict[str, list[tuple[str, str]]]:
    """Return file and detail by kind."""
    _, _, section = (
        (ROOT / "data" / "README.md").read_text("utf-8").partition("## Planted in samples")
    )
    rows = re.findall(r"^\| (\w+) \| (\S+) \| (.+) \|$", section, re.MULTILINE)
    found = defaultdict(list)
    for kind, file, detail in rows:
        found[kind].append((file, detail))
    del found["kind"]
    return found


PLANTED = planted()


def rows(*kinds: str) -> list[tuple[str, str, str]]:
    return [(kind, *row) for kind in kinds for row in PLANTED[kind]]


@pytest.fixture(scope="module")
def ingested(tmp_path_factory: pytest.TempPathFactory):
    return making.read(SAMPLES, tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def cleaned(ingested):
    return clean(ingested.kept, CleanSettings())


@pytest.fixture(scope="module")
def texts(cleaned) -> dict[str, str]:
    return dict(cleaned.kept.select("source", "text").iter_rows())


@pytest.fixture(scope="module")
def reasons(ingested, cleaned) -> dict[str, str]:
    """Return the reason of each dropped source, of both stages."""
    sources = dict(ingested.kept.select("doc_id", "source").iter_rows())
    return dict(ingested.dropped.select("id", "reason").iter_rows()) | {
        sources[doc_id]: reason
        for doc_id, reason in cleaned.dropped.select("id", "reason").iter_rows()
    }


def test_every_planted_kind_is_checked_here_or_by_deduplicate():
    assert set(PLANTED) == {
        "exact_duplicate",
        "near_duplicate",
        "email",
        "phone",
        "iban",
        "card",
        "api_key",
        "language_de",
        "language_fr",
        "language_es",
        "latin1",
        "empty",
        "broken_pdf",
        "binary",
        "injection",
        "boilerplate_page",
        "stub",
    }


def test_all_balances_and_nothing_else_is_dropped(ingested, cleaned, reasons):
    assert ingested.balances and cleaned.balances
    assert set(reasons) == {
        file
        for _, file, _ in rows(
            "empty",
            "broken_pdf",
            "binary",
            "language_de",
            "language_fr",
            "language_es",
            "boilerplate_page",
            "stub",
        )
    }


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("empty", "empty_file"),
        ("broken_pdf", "unreadable_pdf"),
        ("binary", "binary_file"),
        ("language_de", "other_language"),
        ("language_fr", "other_language"),
        ("language_es", "other_language"),
        ("boilerplate_page", "mostly_links"),
        ("stub", "too_short"),
    ],
)
def test_what_is_broken_or_foreign_is_dropped_by_name(reasons, kind: str, reason: str):
    assert {reasons[file] for file, _ in PLANTED[kind]} == {reason}


@pytest.mark.parametrize(
    ("kind", "file", "value"), rows("email", "phone", "iban", "card", "api_key")
)
def test_personal_data_is_redacted(ingested, cleaned, texts, kind: str, file: str, value: str):
    raw = ingested.kept.filter(pl.col("source") == file).row(0, named=True)
    assert value in raw["text"], "it is planted"
    assert value not in texts[file]
    name = {"api_key": "KEY"}.get(kind, kind.upper())
    assert f"<{name}_1>" in texts[file]
    audit = cleaned.tables["redactions"][1]
    assert audit.filter((pl.col("doc_id") == raw["doc_id"]) & (pl.col("kind") == name)).height


def test_nothing_but_what_is_planted_is_redacted(cleaned):
    places = {(file, kind) for kind, file, _ in rows("email", "phone", "iban", "card", "api_key")}
    audit = cleaned.tables["redactions"][1].join(cleaned.kept, on="doc_id")
    found = {
        (source, {"KEY": "api_key"}.get(kind, kind.lower()))
        for source, kind in audit.select("source", "kind").iter_rows()
    }
    assert found == places


def test_latin1_is_decoded(texts):
    [(file, _)] = PLANTED["latin1"]
    assert "José Antonio Núñez" in texts[file] and "32 °C" in texts[file]
    assert texts[file].isprintable() or not re.search(r"[\ufffd\x80-\x9f]", texts[file])


def test_orders_to_a_model_stay_as_text(texts):
    [(file, _)] = PLANTED["injection"]
    assert "gnore all previous instructions" in texts[file]


def test_the_frame_of_help_pages_is_gone_and_their_article_whole(texts, reasons):
    frame = [
        "We use cookies",
        "Accept all",
        "Search the help centre",
        "Find a dealer",
        "Related articles",
        "Was this article helpful",
        "All rights reserved",
        "newsletter",
        "Imprint",
        "dataLayer",
        "Fernwick Help Centre",
    ]
    pages = sorted(SAMPLES.glob("support/*.html"))
    assert len(pages) > 20
    for page in pages:
        source = page.relative_to(SAMPLES).as_posix()
        if source in reasons:
            continue
        assert not [words for words in frame if words in texts[source]], source
        assert source.endswith(".html") and texts[source].startswith("# ")
        plain = " ".join(re.sub(r"[#|*`]|^[-\d.]+ |---", " ", texts[source], flags=re.M).split())
        for paragraph in re.findall(r"<p>(.*?)</p>", _article(page), re.DOTALL):
            words = re.sub(r"<[^>]+>", "", paragraph).replace("&gt;", ">").replace("&amp;", "&")
            if "@" not in words and "+44" not in words:
                assert " ".join(words.split()) in plain, source


def _article(page: Path) -> str:
    found = re.search(r"<article>.*</article>", page.read_text("utf-8"), re.DOTALL)
    assert found, page
    return found[0]


def test_guides_have_no_running_header_page_number_or_broken_word(ingested, texts):
    guides = [source for source in texts if source.endswith(".pdf")]
    assert len(guides) >= 6
    broken = 0
    for source in guides:
        raw = ingested.kept.filter(pl.col("source") == source)["text"][0]
        header = raw.split("\n", 1)[0]
        assert raw.count(header) == raw.count("\f") + 1 > 1, "a header runs through all pages"
        assert header not in texts[source]
        assert re.search(r"Page \d+ of \d+", raw)
        assert not re.search(r"Page \d+ of \d+", texts[source])
        words = set(re.findall(r"[a-z]+", texts[source]))
        for first, second in re.findall(r"\b([a-z]+)-\n\s*([a-z]+)", raw):
            broken += 1
            assert {first + second} <= words or f"{first}-{second}" in texts[source], source
        assert not re.search(r"[a-z]- ", texts[source])
        assert texts[source].count("\n## ") > 3, "sections keep their headings"
    assert broken > 20


def test_policies_keep_headings_and_tables(texts):
    policies = [text for source, text in texts.items() if source.endswith(".docx")]
    assert len(policies) >= 6
    assert all(text.startswith("# ") and "\n## " in text for text in policies)
    assert sum("\n|---|" in text for text in policies) >= 6
