"""reStructuredText as Markdown, with the directives and roles of Sphinx that docutils lacks."""

import re
from typing import Any

from pipeline.documents.readers.decode import decode
from pipeline.documents.readers.markdown import first_heading
from pipeline.documents.readers.reading import ReadFailure, Reading, whole
from pipeline.documents.readers.rst_markdown import markdown

_DIRECTIVE = re.compile(
    r"^[ \t]*\.\. (?:\|[^|\n]{1,80}\| )?([A-Za-z][\w:+.-]{0,60})::", re.MULTILINE
)
_ROLE = re.compile(r":([A-Za-z][\w:+.-]{0,60}):`")
_TARGET = re.compile(r"(.+?)\s*<[^<>]+>", re.DOTALL)
"""``text <target>`` of a role; the text is what a reader sees."""

CODE = frozenset({"code", "code-block", "sourcecode", "prompt", "ipython", "parsed-literal"})
"""Directives whose content is code. Those that docutils has are among them, since it refuses the
options that Sphinx gives them (``:linenos:``)."""

SILENT = frozenset(
    {
        *("toctree", "index", "highlight", "currentmodule", "module", "tabularcolumns", "meta"),
        *("sectionauthor", "codeauthor", "contents", "sectnum", "date", "testsetup"),
        *("testcleanup", "literalinclude", "automodule", "autoclass", "autofunction"),
    }
)
"""Directives that say nothing to a reader, or whose text is in another file. ``date`` would put
the day of reading into the text."""

SETTINGS = {
    "file_insertion_enabled": False,  # no include, no csv-table from a file
    "raw_enabled": False,
    "_disable_config": True,
    "report_level": 3,  # an error keeps its source in the tree, and the writer writes it
    "halt_level": 6,
    "warning_stream": False,
    "line_length_limit": 1_000_000,
    "syntax_highlight": "none",
    "doctitle_xform": False,
    "docinfo_xform": False,
    "input_encoding": "unicode",
}


def read(data: bytes) -> Reading:
    """Read a document; unknown directives and roles keep their text.

    Raises:
        ReadFailure: ``unreadable_rst``, or see
            :func:`pipeline.documents.readers.decode.decode`.
    """
    from docutils.core import publish_doctree
    from docutils.utils import SystemMessage

    source = decode(data)
    _learn(source)
    try:
        text = markdown(publish_doctree(source, settings_overrides=SETTINGS))
    # Its parser raises much on hostile sources; one file must not end the batch.
    except (
        *(SystemMessage, ValueError, LookupError, AttributeError, AssertionError),
        *(TypeError, RecursionError),
    ) as error:
        raise ReadFailure("unreadable_rst", f"{type(error).__name__}: {error}") from error
    return whole(first_heading(text), text)


def _learn(source: str) -> None:
    """Let docutils know the directives and roles of a source that it does not know."""
    from docutils.parsers.rst import directives, roles
    from docutils.parsers.rst.languages import en

    from pipeline.documents.readers.rst_directives import Code, Passing, Silent

    for name in set(_DIRECTIVE.findall(source)):
        plain = name.rpartition(":")[2].lower()
        if plain in SILENT:
            directives.register_directive(name, Silent)
        elif plain in CODE:
            directives.register_directive(name, Code)
        elif name.lower() not in en.directives:
            directives.register_directive(name, Passing)
    for name in set(_ROLE.findall(source)):
        if name.lower() not in en.roles:
            roles.register_local_role(name, _passing)


def _passing(
    name: str, raw: str, text: str, line: int, inliner: Any, *_: Any
) -> tuple[list[Any], list[Any]]:
    """Make the text of an unknown role a literal: most name a class, a key, a file."""
    from docutils import nodes

    shown = _TARGET.fullmatch(text)
    if name.rpartition(":")[2] in ("ref", "doc", "term", "abbr", "numref", "any"):
        return [nodes.inline(raw, shown[1] if shown else text)], []
    return [nodes.literal(raw, shown[1] if shown else text.lstrip("~!"))], []
