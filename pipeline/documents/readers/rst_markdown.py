"""A document tree of docutils as Markdown."""

import re
from collections.abc import Callable, Iterable
from typing import Any

from pipeline.text.exponents import lowered, raised, settled
from pipeline.text.fences import outside_code, span_of

SILENT = frozenset(
    {
        *("comment", "substitution_definition", "target", "raw", "pending", "meta"),
        *("decoration", "generated"),
    }
)
"""Nodes that a reader does not see."""

_INLINE: dict[str, Callable[[str], str]] = {
    "emphasis": lambda text: f"*{text}*",
    "title_reference": lambda text: f"*{text}*",
    "strong": lambda text: f"**{text}**",
    "math": lambda text: f"${text}$",
    "footnote_reference": lambda text: f"[{text}]",
    "citation_reference": lambda text: f"[{text}]",
}
_HEIGHTS = {"superscript": raised, "subscript": lowered}


def markdown(document: Any) -> str:
    """Return a document (``docutils.nodes.document``) as Markdown."""
    return _blocks(document.children, 0).strip()


def _blocks(nodes: Iterable[Any], level: int) -> str:
    """Return blocks with a blank line between them; ``level`` is that of the section."""
    return "\n\n".join(filter(None, (_block(node, level) for node in nodes)))


def _block(node: Any, level: int) -> str:
    kind = type(node).__name__
    if kind in SILENT or {"contents", "system-messages"} & set(node.get("classes", ())):
        return ""
    if kind in _BLOCKS:
        return _BLOCKS[kind](node, level)
    if kind in ADMONITIONS:
        return _blocks([*_named(kind.capitalize()), *node.children], level)
    if any(_is_block(child) for child in node.children):
        return _blocks(node.children, level)
    return _inline(node)


def _is_block(node: Any) -> bool:
    from docutils.nodes import Inline, Text

    return not isinstance(node, Inline | Text)


def _named(text: str) -> list[Any]:
    from docutils.nodes import paragraph, strong

    return [paragraph("", "", strong(text=text))]


def _inline(node: Any) -> str:
    return _line(settled(_run(node)))


def _line(text: str) -> str:
    """Return a text in one line, its code to the letter."""
    return outside_code(text, lambda prose: re.sub(r"\s+", " ", prose)).strip()


def _run(node: Any) -> str:
    text = ""
    for child in node.children:
        words = _words(child)
        change = _HEIGHTS.get(type(child).__name__)
        text += change(text, words.strip()) if change and words.strip() else words
    return text


def _words(node: Any) -> str:
    kind = type(node).__name__
    if kind in ("Text", "option_argument"):
        return str(node.astext())
    if kind in SILENT or kind == "system_message":
        return ""
    if kind == "image":
        return _image(node)
    if kind == "literal":
        return span_of(node.astext().replace("\n", " "))
    text = _run(node)
    if kind == "reference" and node.get("refuri", text) != text:
        return f"[{text}]({node['refuri']})"
    return _INLINE[kind](text) if kind in _INLINE and text.strip() else text


def _image(node: Any) -> str:
    alternative = node.get("alt", "")
    return f"![{alternative}]({node['uri']})" if alternative else ""


def _section(node: Any, level: int) -> str:
    return _blocks(node.children, level + 1)


def _title(node: Any, level: int) -> str:
    # A topic or a sidebar has a title too, but is no section of the document.
    in_section = type(node.parent).__name__ == "section"
    return f"{'#' * min(6, level)} {_inline(node)}" if in_section else f"**{_inline(node)}**"


def _rubric(node: Any, level: int) -> str:
    return f"**{_inline(node)}**"


def _code(node: Any, level: int) -> str:
    text = node.astext().strip("\n")
    fence = "```"
    while fence in text:
        fence += "`"
    named = [name for name in node.get("classes", ()) if name != "code"]
    language = "python" if type(node).__name__ == "doctest_block" else "".join(named[:1])
    return f"{fence}{language}\n{text}\n{fence}"


def _math(node: Any, level: int) -> str:
    return f"$$\n{node.astext().strip()}\n$$"


def _items(node: Any, level: int) -> str:
    ordered = type(node).__name__ == "enumerated_list"
    items = []
    for number, item in enumerate(node.children, start=int(node.get("start", 1))):
        mark = "- "
        if ordered:
            # "A. Berg" is a list to docutils; the letter stays what it was.
            first = {"upperalpha": "A", "loweralpha": "a"}.get(node.get("enumtype", ""))
            mark = f"{chr(ord(first) + number - 1) if first else number}. "
        items.append(_hung(mark, _blocks(item.children, level)))
    return ("\n" if all("\n\n" not in item for item in items) else "\n\n").join(items)


def _hung(mark: str, text: str) -> str:
    """Put a mark before a text, and as many spaces before its later lines."""
    indent = " " * len(mark)
    lines = [f"{indent}{line}" if line else line for line in text.split("\n")]
    return mark + "\n".join(lines)[len(mark) :]


def _definitions(node: Any, level: int) -> str:
    """Return terms in bold with what they mean below (also fields and options)."""
    parts = []
    for item in node.children:
        *terms, body = item.children
        term = ", ".join(_inline(name) for part in terms for name in _names(part))
        parts.append(_hung("- ", f"**{term}**: {_blocks(body.children, level)}".rstrip(": ")))
    return "\n".join(parts)


def _names(term: Any) -> list[Any]:
    """Return the spellings of an option, or the term as the only one."""
    return list(term.children) if type(term).__name__ == "option_group" else [term]


def _quote(node: Any, level: int) -> str:
    lines = _blocks(node.children, level).split("\n")
    return "\n".join(f"> {line}".rstrip() for line in lines)


def _lines(node: Any, level: int) -> str:
    parts = [
        _lines(child, level) if child.children and _is_block(child.children[0]) else _inline(child)
        for child in node.children
    ]
    return "\n".join(parts)


def _note(node: Any, level: int) -> str:
    """Return a footnote or a citation."""
    label, *body = node.children
    return f"[{label.astext()}] {_blocks(body, level)}"


def _message(node: Any, level: int) -> str:
    """Return the source of a block that docutils could not read: no text is lost."""
    sources = [child for child in node.children if type(child).__name__ == "literal_block"]
    # A substitution that has no text says nothing; where it is used, its name stays.
    return _blocks((child for child in sources if not child.astext().startswith(".. |")), level)


def _table(node: Any, level: int) -> str:
    rows: list[list[str]] = []
    titles = [_title(part, level) for part in node.children if type(part).__name__ == "title"]
    spans: dict[int, int] = {}  # column -> rows that a cell above still covers
    for row in node.findall(lambda found: type(found).__name__ == "row"):
        cells: list[str] = []
        for entry in row.children:
            while spans.get(len(cells), 0):
                spans[len(cells)] -= 1
                cells.append("")
            for extra in range(entry.get("morecols", 0) + 1):
                spans[len(cells)] = entry.get("morerows", 0)
                text = "" if extra else _line(_blocks(entry.children, level))
                cells.append(text.replace("|", "\\|"))
        rows.append(cells)
    width = max((len(row) for row in rows), default=0)
    lines = [f"| {' | '.join(row + [''] * (width - len(row)))} |" for row in rows]
    grid = "\n".join([*lines[:1], f"|{' --- |' * width}", *lines[1:]])
    return "\n\n".join([*titles, grid])


ADMONITIONS = frozenset(
    {
        *("note", "warning", "attention", "caution", "danger", "error", "hint", "important"),
        "tip",
    }
)

_BLOCKS: dict[str, Callable[[Any, int], str]] = {
    "section": _section,
    "title": _title,
    "rubric": _rubric,
    "literal_block": _code,
    "doctest_block": _code,
    "math_block": _math,
    "bullet_list": _items,
    "enumerated_list": _items,
    "definition_list": _definitions,
    "field_list": _definitions,
    "option_list": _definitions,
    "block_quote": _quote,
    "line_block": _lines,
    "footnote": _note,
    "citation": _note,
    "system_message": _message,
    "table": _table,
    "transition": lambda node, level: "---",
    "image": lambda node, level: _image(node),
}
