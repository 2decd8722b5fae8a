"""reStructuredText with the directives of Sphinx.

What pandoc does not know, or ends with an error about, gets another name before it reads the text,
and its own name afterwards: the same line may stand in a sample of code.
"""

import re
from collections.abc import Callable
from textwrap import indent

from pipeline.documents.readers.decode import decode
from pipeline.documents.readers.pandoc import document, markdown
from pipeline.documents.readers.reading import Reading

_START = r"^([ \t]*\.\. (?:\|[^|\n]{1,80}\| )?)"
_Change = tuple[str, str | Callable[[re.Match[str]], str]]

_CHANGES: list[_Change] = [
    # A file is to be opened: pandoc ends there. The day of reading is no part of a text.
    (rf"{_START}(include|literalinclude|date)::", r"\1\2-zq::"),
    (r"^([ \t]+:(?:file|url)):", r"\1-zq:"),
    # A colon in the name: pandoc takes it for a comment. Its argument is a signature.
    (rf"{_START}(\w+):([\w-]+)::[ \t]+(\S.*)$", r"\1\2-zqc-\3:: ``\4``"),
    (rf"{_START}(\w+):([\w-]+)::", r"\1\2-zqc-\3::"),
    # Code, and what is told to one kind of reader.
    (
        rf"{_START}(prompt|ipython|testcode|testoutput|parsed-literal)::(?:[ \t]+(\S.*))?$",
        r"\1code:: \3 \2-zqe",
    ),
    (rf"{_START}(only)::(?:[ \t]+(\S.*))?$", r"\1container:: \3 \2-zqe"),
    # An initial is no letter of a list.
    (r"^([ \t]*:\w[\w ]{0,40}:[ \t]+[A-Z])\.(?= )", r"\1-zq."),
    # Examples of Python without a mark of code.
    (
        r"(?<=\n\n)([ \t]*)>>> .*(?:\n\1[ \t]*\S.*)*",
        lambda found: f"{found[1]}.. code:: python-zqd\n\n" + indent(found[0], "   "),
    ),
]

_BACK: list[_Change] = [
    (r"^([ \t>]*`{3,})\S+-zqe$", r"\1"),
    (r"^([ \t>]*`{3,})python-zqd$", r"\1python"),
    (r"(?:code|container):: (?:(\S.*?) )? ?([\w-]+)-zqe$", r"\2:: \1"),
    (
        r"^[ \t]*\.\. code:: python-zqd\n\n((?:   .*\n?)+)",
        lambda found: re.sub("^   ", "", found[1], flags=re.MULTILINE),
    ),
    (r"-zqc-([\w-]+):: ``(.*)``$", r":\1:: \2"),
    (r"-zqc-", ":"),
    (r"-zqe?(?=[.:])", ""),
]

_SILENT = frozenset(
    {
        *("toctree", "index", "highlight", "currentmodule", "module", "tabularcolumns", "meta"),
        *("sectionauthor", "codeauthor", "contents", "sectnum", "testsetup", "testcleanup"),
        *("automodule", "autoclass", "autofunction", "include-zq", "literalinclude-zq"),
    }
)
"""Directives that say nothing to a reader, or whose text is in another file."""


def read(data: bytes) -> Reading:
    """Read a document, of what is unknown the text; raises as :func:`.pandoc.read_text` does."""
    source = f"\n\n{decode(data)}"
    for pattern, change in _CHANGES:
        source = re.sub(pattern, change, source, flags=re.MULTILINE)
    # Alone, pandoc takes a list of fields at the start for metadata and shows two of them.
    text = markdown(source.encode(), "rst", "rst", ("--tab-stop=8",), _SILENT)
    if "-zq" in text:
        for pattern, change in _BACK:
            text = re.sub(pattern, change, text, flags=re.MULTILINE)
    return document(text)
