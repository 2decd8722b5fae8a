"""Real text for the deduplication benchmarks: the HTML pages of two Debian packages.

``postgresql-doc-15`` and ``git-doc`` hold 1,409 pages of reference and tutorials, 16 MB of HTML.
They are installed when they are missing and never copied into the project.
"""

import re
import shutil
import subprocess
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from lxml import etree, html

from tests.benchmarks.dedup_shingles import jaccard, shingle_list

PACKAGES = ("postgresql-doc-15", "git-doc")
BLOCKS = frozenset(
    (
        *("p", "li", "dt", "dd", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "td", "th", "tr"),
        *("table", "div", "section", "blockquote", "br", "hr"),
    )
)
"""Elements that begin and end a piece of text."""
FURNITURE = frozenset(("navheader", "navfooter", "toc", "script", "style", "head"))
"""Classes and elements that are the same on every page."""
PASSAGE = 1200
"""Characters of a passage: the issue's size, 200 words."""
SHORTEST_PASSAGE = 600
UNRELATED = 0.3
"""Real passages with a higher Jaccard similarity (shared option lists of the Git manual) are
thinned out to one, so that what is a duplicate in a corpus is what was planted there."""
SENTENCE_WORDS = (6, 45)
"""Words of the sentences that passages are recombined of. Longer ones (a table in one cell) would
make two passages that share one similar."""


class Pages(NamedTuple):
    """What the pages hold: real passages and their sentences, each once."""

    passages: list[str]
    sentences: list[str]


def install() -> None:
    """Install the packages that are missing.

    Raises:
        SystemExit: this is no Debian, or the packages cannot be installed.
    """
    if not shutil.which("dpkg-query") or not shutil.which("apt-get"):
        raise SystemExit(
            f"no apt-get here; the benchmark reads the pages of the Debian packages "
            f"{' and '.join(PACKAGES)}; run it on Debian or Ubuntu"
        )
    missing = [name for name in PACKAGES if not _listed(name)]
    if missing:
        done = subprocess.run(
            ["apt-get", "install", "--yes", "--no-install-recommends", *missing],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise SystemExit(
                f"{' and '.join(missing)} cannot be installed: "
                f"{done.stderr.strip().splitlines()[-1:]}; expected a Debian whose package lists "
                "are up to date, and root; run: sudo apt-get update && sudo apt-get install "
                f"{' '.join(missing)}"
            )


def files() -> list[Path]:
    """Return the pages, installed first where they are missing."""
    install()
    return sorted(name for package in PACKAGES for name in _listed(package))


def load() -> Pages:
    """Return the unrelated real passages and the distinct sentences of all pages."""
    passages: list[str] = []
    sentences: dict[str, str] = {}
    for path in files():
        blocks = list(_blocks(path))
        passages += _passages(blocks)
        for block in blocks:
            for sentence in re.split(r"(?<=[.!?;:])\s+", block):
                if SENTENCE_WORDS[0] <= len(sentence.split()) <= SENTENCE_WORDS[1]:
                    sentences.setdefault(sentence.casefold(), sentence)
    return Pages(_unrelated(passages), list(sentences.values()))


def _listed(package: str) -> list[Path]:
    """Return the HTML files of an installed package, none when it is not installed."""
    done = subprocess.run(["dpkg-query", "--listfiles", package], capture_output=True, text=True)
    paths = [Path(line) for line in done.stdout.splitlines() if line.endswith(".html")]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


def _blocks(path: Path) -> Iterator[str]:
    """Yield the text of a page block by block; each line of code is a block."""
    parts: list[str] = []
    skipped = 0
    for event, node in etree.iterwalk(
        html.parse(str(path), html.HTMLParser(encoding="utf-8")), events=("start", "end")
    ):
        if not isinstance(node.tag, str):
            continue
        furniture = node.tag in FURNITURE or node.get("class") in FURNITURE
        border = "\0" if node.tag in BLOCKS else ""
        code = node.tag == "pre" or any(True for _ in node.iterancestors("pre"))
        if event == "start":
            skipped += furniture
            text = node.text
        else:
            skipped -= furniture
            text = node.tail
            code = code and node.tag != "pre"
        text = "" if skipped else text or ""
        parts += [border, text.replace("\n", "\0") if code else text]
    for block in "".join(parts).split("\0"):
        if line := " ".join(block.split()):
            yield line


def _passages(blocks: list[str]) -> Iterator[str]:
    """Cut a page into passages of about :data:`PASSAGE` characters, at the ends of blocks."""
    passage: list[str] = []
    size = 0
    for block in blocks:
        for start in range(0, len(block), PASSAGE):
            passage.append(block[start : start + PASSAGE])
            size += len(passage[-1])
            if size >= PASSAGE:
                yield "\n".join(passage)
                passage, size = [], 0
    if size >= SHORTEST_PASSAGE:
        yield "\n".join(passage)


def _unrelated(passages: list[str]) -> list[str]:
    """Keep each passage whose true similarity with all that were kept is below UNRELATED."""
    kept: list[frozenset[str]] = []
    places: list[int] = []
    holders: dict[str, list[int]] = defaultdict(list)
    for place, text in enumerate(passages):
        found = frozenset(shingle_list(text))
        common = Counter(other for shingle in found for other in holders[shingle])
        if any(
            jaccard(len(found), len(kept[other]), count) >= UNRELATED
            for other, count in common.items()
        ):
            continue
        for shingle in found:
            holders[shingle].append(len(kept))
        kept.append(found)
        places.append(place)
    return [passages[place] for place in places]
