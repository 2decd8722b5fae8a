"""Documentation of many makes through reader and cleaning: which pages go, and which junk stays.

    python -m tests.benchmarks.quality_makes [--only NAME] [--folder FOLDER] [--show]

Up to 40 random pages of content of each make (tests/benchmarks/debian_pages.py says what that is,
without looking at our verdict) go through ingest and clean with the settings as they are, the
language of the pages beside. At most 2 of 40 may go, whatever the rule. What goes is printed with
the rule, the value, the limit and the excerpt of the ledger. Pages of navigation that were met on
the way are counted apart: some say enough to stay.

The other side: 100 pieces of each kind of junk (tests/benchmarks/junk.py), made of the same pages,
go the same way; at least 95 of 100 must go. Kinds that no rule is made for have no bar.
"""

import argparse
import math
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pipeline.core.cache import Cache
from pipeline.documents.clean.clean import clean
from pipeline.documents.files.files import scan
from pipeline.documents.files.ingest import ingest
from pipeline.settings import CleanSettings, IngestSettings
from tests.benchmarks import junk
from tests.benchmarks.debian_pages import FOREIGN, MAKES, PAGES, SEED, Make, Page, draw, fetch
from tests.benchmarks.verdict import verdict

MOST_DROPPED = 2 / PAGES
"""Share of the pages of content of a make that may go (issue 15)."""
LEAST_GONE = 0.95
"""Share of each kind of junk that must go."""
PIECES = 100
SHOWN = 150
"""Characters of an excerpt of the ledger."""


def dropped(pages: Sequence[Page], language: str) -> list[dict[str, Any]]:
    """Return the ledger of pages that were read and cleaned as a run does."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "in"
        folder.mkdir()
        for number, page in enumerate(pages):
            (folder / f"{number:03}-{page.name}").write_bytes(page.data)
        settings = IngestSettings()
        files = scan(folder, settings, Path(place) / "index.json")
        raw = ingest(files, settings, Cache(Path(place) / "reads"))
        cleaned = clean(raw.kept, CleanSettings(languages=[language]))
    return [*raw.dropped.to_dicts(), *cleaned.dropped.to_dicts()]


def rows_of(ledger: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Return a line for each row of a ledger."""
    for row in ledger:
        value = "" if row["value"] is None else f"{row['value']:.3g}"
        limit = "" if row["threshold"] is None else f"of {row['threshold']:g}"
        excerpt = " ".join(row["excerpt"].split())[:SHOWN]
        yield f"    {row['reason']:<18} {value:>6} {limit:<8} {excerpt}"


def measure(make: Make, folder: Path) -> tuple[bool, list[Page]]:
    """Print what goes of a make; return whether its bar is met, and its pages."""
    fetch({make.package}, folder)
    content, other = draw(make, folder)
    ledger = dropped(content, make.language)
    navigation = other[:PAGES]
    gone = len(dropped(navigation, make.language)) if navigation else 0
    most = math.ceil(MOST_DROPPED * len(content))
    met = bool(content) and len(ledger) <= most
    print(
        f"{make.name:<18} {make.language:<3}{len(content):>4}{len(content) - len(ledger):>6}"
        f"{len(ledger):>6}   {'' if met else 'MISSED':<7}{gone:>3} of {len(navigation)}",
        *rows_of(ledger),
        sep="\n",
        flush=True,
    )
    return met, content


def measure_junk(pages: Sequence[Page], show: bool) -> dict[str, bool]:
    """Print what stays of each kind of junk; return whether enough of each went."""
    met = {}
    for kind, make in (junk.KINDS | junk.NOT_TOLD).items():
        dice = random.Random(SEED)
        pieces = []
        for page in dice.sample(pages, PIECES):
            ending, text = make(page, dice)
            pieces.append(Page(f"{page.name.rsplit('.', 1)[0]}{ending}", text.encode()))
        ledger = dropped(pieces, "en")
        reasons = Counter(row["reason"] for row in ledger)
        print(f"{kind:<18} {len(ledger):>4} of {PIECES}  {dict(reasons.most_common())}", flush=True)
        if show:
            print(*rows_of(ledger[:3]), sep="\n")
        if kind in junk.KINDS:
            met[kind] = len(ledger) >= LEAST_GONE * PIECES
    return met


def main() -> int:
    """Measure both sides and say whether the bars hold."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="makes whose name holds this")
    parser.add_argument("--folder", type=Path, help="where packages are unpacked, and kept")
    parser.add_argument("--show", action="store_true", help="excerpts of junk that went")
    given = parser.parse_args()
    chosen = [make for make in (*MAKES, *FOREIGN) if given.only in make.name]
    with tempfile.TemporaryDirectory() as place:
        folder = given.folder or Path(place)
        print("make               in pages  kept  gone          navigation gone")
        bars = {}
        pages: list[Page] = []
        for make in chosen:
            bars[make], content = measure(make, folder)
            if make.language == "en":
                pages += [page for page in content if page.name.endswith(".html")]
    expected = {f"at most 2 of 40 pages of each of {len(chosen)} makes go": all(bars.values())}
    if len(pages) >= PIECES:
        print(f"junk made of {len(pages)} pages: what goes, and why")
        gone = measure_junk(pages, given.show)
        expected |= {f"at least {LEAST_GONE:.0%} of each kind of junk go": all(gone.values())}
    return verdict(expected)


if __name__ == "__main__":
    sys.exit(main())
