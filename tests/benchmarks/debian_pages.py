"""Pages of documentation by the tool that made them, from packages of Debian 12.

The packages are fetched from a mirror of Debian by apt-get with lists of their own, and unpacked
into a folder; nothing is installed, and no page is copied into the project. ``non-free`` is asked
for too, where Debian puts texts that nobody may change: the RFCs.

A page is one of content when it has 60 words or more outside of links and at most half of its words
are links, both counted by lxml without the elements of a page's frame; in another language than
English, when 0.6 of the words that tell a language tell that one (those in its script, else its
stop words beside the English ones): many translations are not finished. The others are navigation,
redirects, stubs of classes, pages that are still in English.
"""

import gzip
import random
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from lxml import etree, html

from pipeline.documents.clean.quality.measures import STOP_WORDS

MIRROR = "http://deb.debian.org/debian bookworm main non-free"
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
SEED = 7
PAGES = 40
"""Of each make, at most."""

FEWEST_WORDS = 60
"""Words outside of links that a page of content has at least; Gopher asks for 50."""
MOST_LINKED = 0.5
"""Share of the words that are links, from which a page is navigation."""
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]{1,2}|[^\W\u3040-\u30ff\u3400-\u9fff]+")
"""Two characters of Chinese or Japanese are a word."""
_ROFF = re.compile(r"^[.']\\?\S*|\\f\S|\\\(\S\S", re.MULTILINE)
"""Macros and escapes of the sources of manual pages."""
LEAST_TRANSLATED = 0.6
"""Share of what tells a page's language that is not English, from which it is translated."""
SCRIPTS = {
    "ru": re.compile("[\u0400-\u04ff]"),
    "ar": re.compile("[\u0600-\u06ff]"),
    "zh": re.compile("[\u4e00-\u9fff]"),
    "ja": re.compile("[\u3040-\u30ff\u4e00-\u9fff]"),
}
FRAME = ("script", "style", "head", "nav", "header", "footer", "form", "button", "select")


class Make(NamedTuple):
    """A tool that makes documentation, and a package with pages of it."""

    name: str
    package: str
    pattern: str
    """Of the paths of its pages, in the package."""
    ending: str = ""
    """What their files are given to the product as; empty: the ending that they have."""
    language: str = "en"
    parts: Callable[[bytes], list[bytes]] = lambda data: [data]
    """Cuts a file into pages, or makes another kind of page of it."""


def _in_pre(data: bytes) -> list[bytes]:
    text = data.replace(b"&", b"&amp;").replace(b"<", b"&lt;")
    return [b"<html><head><title>RFC</title></head><body><pre>%s</pre></body></html>" % text]


def _nodes(data: bytes) -> list[bytes]:
    return data.split(b"\x1f\n")[1:]


_HTML = r"\.html$"
_MAN = r"/man\d/.*\.\d\.gz$"
MAKES = (
    Make("javadoc", "libcommons-lang3-java-doc", _HTML),
    Make("gtk-doc", "libglib2.0-doc", _HTML),
    Make("doxygen", "libeigen3-doc", _HTML),
    Make("doxygen, C", "libsdl2-doc", _HTML),
    Make("sphinx", "python3.11-doc", _HTML),
    Make("sphinx, CMake", "cmake-doc", _HTML),
    Make("sphinx, GSL", "gsl-ref-html", _HTML),
    Make("texinfo", "octave-doc", _HTML),
    Make("texi2html", "zsh-doc", _HTML),
    Make("rdoc", "asciidoctor-doc", _HTML),
    Make("mkdocs", "mkdocs-doc", _HTML),
    Make("mdbook", "rust-doc", rf"/html/(book|reference|cargo)/.*{_HTML}"),
    Make("rustdoc", "rust-doc", rf"/html/std/.*{_HTML}"),
    Make("vim help", "vim-doc", _HTML),
    Make("vim help, text", "vim-runtime", r"/doc/.*\.txt$"),
    Make("latex2html", "gnuplot-doc", _HTML),
    Make("R manuals", "r-doc-html", _HTML),
    Make("SQLite", "sqlite3-doc", _HTML),
    Make("Apache", "apache2-doc", rf"/manual/en/.*{_HTML}"),
    Make("Publican", "debian-handbook", rf"/en-US/.*{_HTML}"),
    Make("go", "golang-1.19-doc", _HTML),
    Make("erldoc", "erlang-doc", rf"/doc/html/(?!java).*{_HTML}|/doc/doc/.*{_HTML}"),
    Make("haddock", "ghc-doc", rf"/html/libraries/[^/]+/(?!doc-index)[^/]+{_HTML}"),
    Make("qdoc", "qtbase5-doc-html", _HTML),
    Make("DocBook", "postgresql-doc-15", _HTML),
    Make("AsciiDoc", "git-doc", _HTML),
    Make("AsciiDoc, source", "git-doc", r"\.txt$"),
    Make("Markdown, source", "nodejs-doc", r"\.md\.gz$"),
    Make("reST, source", "python3.11-doc", r"_sources/.*\.rst\.txt$", ".rst"),
    Make("POD", "perl-doc", r"\.pod$"),
    Make("man", "manpages-dev", _MAN),
    Make("man, Tcl", "tcl8.6-doc", r"/man\d/.*\.3tcl\.gz$", ".3"),
    Make("man2html", "ncurses-doc", rf"/man/.*{_HTML}"),
    Make("RFC", "doc-rfc-std", r"/rfc\d+\.txt\.gz$"),
    Make("RFC, one <pre>", "doc-rfc-std", r"/rfc\d+\.txt\.gz$", ".html", parts=_in_pre),
    Make("info", "guile-3.0-doc", r"\.info-\d+\.gz$", ".txt", parts=_nodes),
)
FOREIGN = (
    Make("de Publican", "debian-handbook", rf"/de-DE/.*{_HTML}", language="de"),
    Make("de Apache", "apache2-doc", r"/manual/de/.*\.html(\.de)?$", ".html", "de"),
    Make("de man", "manpages-de", _MAN, language="de"),
    Make("de reference", "debian-reference-de", r"\.html$", language="de"),
    Make("fr Publican", "debian-handbook", rf"/fr-FR/.*{_HTML}", language="fr"),
    Make("fr Apache", "apache2-doc", r"/manual/fr/.*\.html$", language="fr"),
    Make("fr man", "manpages-fr", _MAN, language="fr"),
    Make("fr DocBook", "aptitude-doc-fr", _HTML, language="fr"),
    Make("es Publican", "debian-handbook", rf"/es-ES/.*{_HTML}", language="es"),
    Make("es man", "manpages-es", _MAN, language="es"),
    Make("es DocBook", "aptitude-doc-es", _HTML, language="es"),
    Make("ru Publican", "debian-handbook", rf"/ru-RU/.*{_HTML}", language="ru"),
    Make("ru man", "manpages-ru", _MAN, language="ru"),
    Make("ru DocBook", "aptitude-doc-ru", _HTML, language="ru"),
    Make("zh Publican", "debian-handbook", rf"/zh-CN/.*{_HTML}", language="zh"),
    Make("zh man", "manpages-zh", _MAN, language="zh"),
    Make("zh FAQ", "debian-faq-zh-cn", _HTML, language="zh"),
    Make("ja Publican", "debian-handbook", rf"/ja-JP/.*{_HTML}", language="ja"),
    Make("ja man", "manpages-ja", _MAN, language="ja"),
    Make("ja DocBook", "aptitude-doc-ja", _HTML, language="ja"),
    Make("nb Publican", "debian-handbook", rf"/nb-NO/.*{_HTML}", language="nb"),
    Make("ar Publican", "debian-handbook", rf"/ar-MA/.*{_HTML}", language="ar"),
)


class Page(NamedTuple):
    """A file as the product gets it."""

    name: str
    data: bytes


def fetch(packages: set[str], folder: Path) -> None:
    """Fetch and unpack what is not in the folder yet, a folder a package.

    Raises:
        SystemExit: There is no apt-get here, or a package cannot be fetched.
    """
    missing = sorted(package for package in packages if not (folder / package).exists())
    if not missing:
        return
    if not shutil.which("apt-get") or not shutil.which("dpkg-deb") or not Path(KEYS).exists():
        raise SystemExit(
            f"no apt-get, dpkg-deb or {KEYS} here; expected all three, since the pages are those "
            "of Debian packages; run it on Debian, or on Ubuntu with debian-archive-keyring"
        )
    own = folder / "apt"
    for name in ("lists/partial", "cache/archives/partial", "debs"):
        (own / name).mkdir(parents=True, exist_ok=True)
    (own / "sources.list").write_text(f"deb [signed-by={KEYS}] {MIRROR}\n")
    apt = [
        *("apt-get", "-qq", "-o", f"Dir::Etc::SourceList={own / 'sources.list'}"),
        *("-o", "Dir::Etc::SourceParts=-", "-o", f"Dir::State::Lists={own / 'lists'}"),
        *("-o", f"Dir::Cache={own / 'cache'}", "-o", "APT::Sandbox::User=root"),
    ]
    _run([*apt, "update"], own)
    _run([*apt, "download", *missing], own / "debs")
    for package in missing:
        [found] = (own / "debs").glob(f"{package}_*.deb")
        _run(["dpkg-deb", "--extract", str(found), str(folder / package)], own)


def _run(command: list[str], where: Path) -> None:
    done = subprocess.run(command, cwd=where, capture_output=True, text=True)
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:]
        raise SystemExit(
            f"{' '.join(command)}: {said}; expected Debian's packages at {MIRROR}; look at the "
            "network, or whether they have left the mirror"
        )


def draw(make: Make, folder: Path) -> tuple[list[Page], list[Page]]:
    """Return up to :data:`PAGES` pages of content, and those of no content met on the way."""
    pages = list(_pages(make, folder / make.package))
    random.Random(SEED).shuffle(pages)
    content: list[Page] = []
    other: list[Page] = []
    for page in pages:
        if len(content) == PAGES:
            break
        (content if is_content(page, make.language) else other).append(page)
    return content, other


def _pages(make: Make, root: Path) -> Iterator[Page]:
    pattern = re.compile(make.pattern)
    for path in sorted(root.rglob("*")):
        if not pattern.search(path.as_posix()) or path.is_symlink() or not path.is_file():
            continue
        data = path.read_bytes()
        name = path.name
        if name.endswith(".gz"):
            data, name = gzip.decompress(data), name.removesuffix(".gz")
        for number, part in enumerate(make.parts(data)):
            yield Page(f"{number}-{name.removesuffix(make.ending)}{make.ending}", part)


def is_content(page: Page, language: str) -> bool:
    """Whether a page is one of content in a language; see the docstring of the module."""
    if not page.name.endswith(".html"):
        return len(_WORD.findall(text_of(page))) >= FEWEST_WORDS and _is_in(page, language)
    linked = sum(len(_WORD.findall(label)) for label in labels(page))
    rest = len(_WORD.findall(text_of(page))) - linked
    enough = rest >= FEWEST_WORDS and linked <= MOST_LINKED * (linked + rest)
    return enough and _is_in(page, language)


def _is_in(page: Page, language: str) -> bool:
    """Whether a page is translated: most that tells its language does not tell English."""
    if language == "en":
        return True
    words = _WORD.findall(text_of(page).casefold())
    if language in SCRIPTS:
        own = sum(SCRIPTS[language].match(word) is not None for word in words)
        return own >= LEAST_TRANSLATED * len(words)
    own, english = (sum(word in STOP_WORDS[each] for word in words) for each in (language, "en"))
    return own >= LEAST_TRANSLATED * (own + english) > 0


def text_of(page: Page) -> str:
    """Return the text of a page without its frame."""
    if not page.name.endswith(".html"):
        return _ROFF.sub(" ", page.data.decode("utf-8", "replace"))
    return " ".join(_tree(page).itertext())


def labels(page: Page) -> list[str]:
    """Return the texts of the links of a page, without its frame."""
    links = (link for link in _tree(page).iter("a") if link.get("href"))
    return [" ".join(link.text_content().split()) for link in links]


def _tree(page: Page) -> html.HtmlElement:
    # Not in UTF-8, unless the page says so.
    tree = html.fromstring(page.data, parser=html.HTMLParser(encoding=_encoding(page.data)))
    etree.strip_elements(tree, *FRAME, with_tail=False)
    return tree


def _encoding(data: bytes) -> str:
    said = re.search(rb"charset=[\"']?([\w-]+)", data[:2_000])
    return said[1].decode() if said else "utf-8"
