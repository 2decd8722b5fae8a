"""Repeated paragraphs and semantic duplicates of real documentation: what is found, how fast.

    .venv/bin/python -m tests.benchmarks.boilerplate [--copies 70]

The pages of two Debian packages (see ``dedup_pages``) are read as ingest and clean read them. For
the clock there are several copies of the pages, each line of which has a number in front, so that
a copy is no repetition. No page of the two manuals says the same as another: each semantic
duplicate that is found among them would be wrong.
"""

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import polars as pl

from pipeline.core.cache import short_id
from pipeline.dedup.deduplicate import deduplicate
from pipeline.dedup.paragraphs import find_repeated, trim
from pipeline.dedup.semantic import deduplicate_meaning
from pipeline.documents.clean.clean_document import markdown_of
from pipeline.settings import DedupSettings, ParagraphSettings, SemanticSettings
from tests.benchmarks.dedup_pages import PACKAGES, install
from tests.pipeline.dedup.corpus import corpus

PARAGRAPHS = ParagraphSettings()
SEMANTIC = SemanticSettings(enabled=True, max_cluster_share=1)


def markdown(path: Path) -> str:
    """Return a page as the clean stage sees it."""
    return markdown_of({"format": "html", "text": path.read_text("utf-8", errors="replace")})


def main() -> None:
    """Print what is found and the megabytes of text a second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--copies", type=int, default=70, help="of the pages, for the clock")
    options = parser.parse_args()
    install()
    folders = [Path("/usr/share/doc", package) for package in PACKAGES]
    paths = sorted(path for folder in folders for path in folder.rglob("*.html"))
    with ProcessPoolExecutor() as pool:
        texts = dict(zip(map(str, paths), pool.map(markdown, paths, chunksize=20), strict=True))
    pages = corpus({name: text for name, text in texts.items() if text})
    repeated = find_repeated(pages, PARAGRAPHS)
    print(f"{pages.height:,} pages; repeated paragraphs {repeated.metrics}")
    for row in repeated.kept.head(9).iter_rows(named=True):
        print(f"{row['documents']:5} documents  {' '.join(row['text'].split())[:80]}")

    many = pl.concat(
        pages.with_columns(
            doc_id=pl.col("doc_id").map_elements(
                lambda key, copy=copy: short_id(key, str(copy)), return_dtype=pl.String
            ),
            source=pl.col("source") + f"#{copy}",
            text=pl.col("text").str.replace_all(r"(?m)^(\w)", f"{copy} $1"),
        )
        for copy in range(options.copies)
    )
    size = int(many["text"].str.len_bytes().sum()) / 1e6
    began = time.perf_counter()
    found = find_repeated(many, PARAGRAPHS)
    ended = time.perf_counter()
    print(f"find  {many.height:,} documents, {size:,.0f} MB: {size / (ended - began):.0f} MB/s")
    began = time.perf_counter()
    trimmed = trim(many, found.kept, lambda text: None)
    ended = time.perf_counter()
    print(f"trim  {trimmed.metrics['documents']:,.0f} of them: {size / (ended - began):.0f} MB/s")

    unique = deduplicate(pages, DedupSettings(max_cluster_share=1)).kept
    began = time.perf_counter()
    meaning = deduplicate_meaning(unique, SEMANTIC)
    seconds = time.perf_counter() - began
    _, near = meaning.tables["near_misses"]
    alike = near.filter(pl.col("similarity") >= SEMANTIC.threshold).height
    print(
        f"semantic  {unique.height:,} documents in {seconds:.1f} s: {meaning.dropped.height} go; "
        f"{alike} that stay have a neighbour of {SEMANTIC.threshold:g} or more"
    )


if __name__ == "__main__":
    main()
