"""Pandoc turns a document into HTML, and our own writer of pages that into Markdown.

Pandoc is GPL: it is a program of its own that is called, never linked. It gets the document
through a pipe and, by ``--sandbox``, opens no other file and no address. It runs below the worker
that reads the document: with its limit of memory, and dies with it.
"""

import os
import re
import subprocess
from functools import cache
from importlib.metadata import distribution
from typing import Any

from pipeline.core.worker_process import die_with_parent
from pipeline.documents.clean.web.names import HEADINGS
from pipeline.documents.clean.web.page import parse, written
from pipeline.documents.left_out import leave_out
from pipeline.documents.readers.decode import decode
from pipeline.documents.readers.markdown import first_heading
from pipeline.documents.readers.reading import ReadFailure, Reading, whole

OPTIONS = (
    *("--sandbox", "--verbose", "--to=html", "--mathml", "--wrap=none"),
    *("--syntax-highlighting=none", "--email-obfuscation=none", f"--data-dir={os.devnull}"),
)
"""MathML carries the TeX of a formula; the colours of code would only be taken out again. Verbose,
pandoc says what it does not read."""
STANDALONE = ("--standalone", "--preserve-tabs")  # title and authors first; code keeps its tabs
OUT_OF_MEMORY = b"out of memory"  # what a Haskell program says when the system refuses it memory
_MESSAGE = re.compile(r"^\[(WARNING|INFO)\] (.*(?:\n .*)*)\n?", re.MULTILINE)
_UNREAD = ("Skipped", "Not rendering", "Could not")
_SPACE = "\ue020"  # for a space behind another one in code: a page would lose it
_NO_LANGUAGE = frozenset(("example", "interactive", "literate", "numberLines", "text", "none"))
"""Classes of code that name no language."""


def markdown(
    data: bytes,
    source: str,
    name: str = "",
    options: tuple[str, ...] = STANDALONE,
    silent: frozenset[str] = frozenset(),
) -> str:
    """Return a document (a text: in UTF-8) as Markdown; boxes of the silent classes are left out.

    The source is one of ``pandoc --list-input-formats``, and where pandoc cannot read it the reason
    is ``unreadable_`` with the name. MemoryError: pandoc was refused memory.
    """
    body = parse(_html(data, source, f"unreadable_{name or source}", options))
    if body is None:
        return ""
    _prepare(body)
    dropped = {box for box in body.iter("div") if box.get("class") in silent}
    return written([body], dropped).replace(_SPACE, " ")


def read_text(data: bytes, source: str, name: str = "", before: str = "") -> Reading:
    """Read a text in a format that pandoc knows; what stands ``before`` it is read first.

    ReadFailure: ``unreadable_`` with the name, or of :func:`.decode.decode`.
    """
    text = (before + decode(data)).encode("utf-8", "replace")
    return document(markdown(text, source, name))


def document(text: str) -> Reading:
    """Return Markdown as a document named by its first heading; ReadFailure: ``empty_file``."""
    return whole(first_heading(text), text)


def _html(data: bytes, source: str, reason: str, options: tuple[str, ...]) -> str:
    result = subprocess.run(
        [_program(), *OPTIONS, *options, f"--from={source}"],
        input=data,
        capture_output=True,
        cwd="/",
        env={"LC_ALL": "C.UTF-8", "HOME": os.devnull},
        preexec_fn=die_with_parent,  # a document that takes too long ends with its worker
        check=False,
    )
    messages = result.stderr.decode("utf-8", "replace")
    if result.returncode:
        if OUT_OF_MEMORY in result.stderr:
            raise MemoryError
        message = " ".join(_MESSAGE.sub("", messages).split())
        raise ReadFailure(reason, f"pandoc, exit code {result.returncode}: {message[:300]}")
    for level, text in dict.fromkeys(_MESSAGE.findall(messages)):
        if level == "WARNING" or text.startswith(_UNREAD):
            leave_out("warnings" if level == "WARNING" else "skipped", 1, text.partition("\n")[0])
    return result.stdout.decode("utf-8", "replace")


@cache
def _program() -> str:
    """Return the path of pandoc, which the package pypandoc_binary brings along."""
    return str(distribution("pypandoc_binary").locate_file("pypandoc/files/pandoc"))


def _prepare(body: Any) -> None:
    """Give the HTML of pandoc the shape that the writer of pages knows."""
    header = body.find("header[@id='title-block-header']")
    if header is not None and header.find("h1") is not None:
        for heading in list(body.iter(*HEADINGS[:5])):
            if heading.getparent() is not header:  # below the title
                heading.tag = f"h{int(heading.tag[1]) + 1}"
    for link in body.iterfind(".//a[@role='doc-backlink']"):
        link.text = None
    for code in body.iter("code"):
        if code.get("role"):
            _tell_role(code)
        if code.text and "  " in code.text and code.getparent().tag != "pre":
            code.text = re.sub("(?<= ) ", _SPACE, code.text)
    for table in body.iter("table"):
        if table.find(".//th") is None:  # Markdown has no table without a header
            for cell in next(table.iter("tr"), ()):
                cell.tag = "th"
    for span in body.iterfind(".//span[@class='title-ref']"):
        span.tag = "cite"
    for pre in body.iter("pre"):
        names = [name for name in (pre.get("class") or "").split() if name not in _NO_LANGUAGE]
        if names:
            pre.set("data-lang", names[0])
        if pre.get("data-caption"):
            caption = pre.makeelement("p")
            caption.text = pre.get("data-caption")
            pre.addprevious(caption)


def _tell_role(code: Any) -> None:
    """Show the text of a role that pandoc does not know: most name a class, a key, a file."""
    text, _, target = (code.text or "").partition("<")
    code.text = text.strip() if target and text.strip() else (code.text or "").lstrip("~!")
    if code.get("role").rpartition(":")[2] in ("ref", "doc", "term", "abbr", "numref", "any"):
        code.tag = "span"
