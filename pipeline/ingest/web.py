"""HTML to Markdown: the main content, without navigation, footer, banner and sidebar."""

import logging
import re
from typing import Any

_BOILERPLATE_TAGS = {
    "nav",
    "footer",
    "aside",
    "form",
    "script",
    "style",
    "noscript",
    "template",
    "iframe",
    "button",
    "dialog",
    "svg",
}
_BOILERPLATE_ROLES = {
    "navigation",
    "banner",
    "contentinfo",
    "complementary",
    "search",
    "dialog",
    "alertdialog",
}
_BOILERPLATE_NAMES = re.compile(
    r"(?:^|[-_ ])(?:nav|navbar|navigation|menu|breadcrumbs?|sidebar|cookies?|consent|gdpr|footer"
    r"|masthead|toc|share|social|newsletter|pagination|skip-link|site-header|page-header"
    r"|related(?:-[a-z]+)?|feedback)(?:$|[-_ ])",
    re.IGNORECASE,
)

LARGEST_SHARE = 0.5
"""An element named like boilerplate that holds more of the page's text than this is a layout
(``page-with-sidebar``) and stays."""

_CODE = "tuneloopcode{}x"
"""Stands for a code block while the page is converted: trafilatura drops its blank lines and
its language."""


def main_content(html: str) -> str:
    """Return the main content of a page as Markdown: headings, lists, tables, code and links.

    Elements that say what they are (``nav``, ``footer``, a class ``cookie-banner``) are removed
    first, since trafilatura keeps them on short pages; it then finds the content among the rest
    (recall favoured). Nothing is fetched, and equal pages give equal text.

    Args:
        html: A decoded page.

    Returns:
        Markdown; empty when the page has no content.
    """
    import trafilatura

    # It warns of each page without content, which the ledger names anyway.
    logging.getLogger("trafilatura").setLevel(logging.ERROR)
    tree = trafilatura.load_html(html)
    if tree is None:
        return ""
    _prune(tree)
    links = {
        " ".join(link.text_content().split()): link.get("href")
        for link in tree.iter("a")
        if link.get("href")
    }
    blocks = _take_code(tree)
    text = trafilatura.extract(
        tree,
        output_format="markdown",
        favor_recall=True,
        include_comments=False,
        include_tables=True,
        include_links=True,
        include_formatting=True,
        deduplicate=False,
    )
    text = re.sub(r"\[\s*\]\([^()\n]*\)", "", text or "")  # links of pictures that are gone
    return _spaced(_put_code(_relink(text, links), blocks))


def _prune(tree: Any) -> None:
    length = max(1, len(tree.text_content()))
    for element in list(tree.iterdescendants()):
        if not isinstance(element.tag, str) or element.getparent() is None:
            continue  # a comment, or part of what is gone already
        names = f"{element.get('class') or ''} {element.get('id') or ''}"
        named = (
            _BOILERPLATE_NAMES.search(names) is not None
            or (element.get("role") or "") in _BOILERPLATE_ROLES
        )
        certain = element.tag in _BOILERPLATE_TAGS
        if element.tag in ("html", "body", "main", "article") or not (certain or named):
            continue
        if not certain and (
            element.find(".//main") is not None
            or element.find(".//article") is not None
            or len(element.text_content()) > LARGEST_SHARE * length
        ):
            continue
        element.drop_tree()


def _relink(text: str, links: dict[str, str]) -> str:
    """Write links down again where a whole line is one.

    On a page without paragraphs trafilatura falls back to plain lines, and a site map would
    read like a text.
    """
    if "](" in text:
        return text
    lines = text.split("\n")
    return "\n".join(f"[{line}]({links[line]})" if line in links else line for line in lines)


def _take_code(tree: Any) -> list[str]:
    blocks: list[str] = []
    for element in list(tree.iter("pre")):
        code = element.find("code")
        names = f"{element.get('class') or ''} {'' if code is None else code.get('class') or ''}"
        language = re.search(r"(?:language|lang|highlight-source)-([\w+#-]+)", names)
        content = element.text_content().strip("\n").rstrip()
        if not content.strip():
            continue
        fence = "`" * max([3, *(len(run) + 1 for run in re.findall(r"`{3,}", content))])
        tail = element.tail
        element.clear()
        element.text = _CODE.format(len(blocks))
        element.tail = tail
        blocks.append(f"{fence}{language[1] if language else ''}\n{content}\n{fence}")
    return blocks


def _put_code(text: str, blocks: list[str]) -> str:
    for number, block in enumerate(blocks):
        token = _CODE.format(number)
        pattern = rf"[ \t]*(?:```+\n{token}\n[ \t]*```+|`{token}`|{token})[ \t]*"
        pieces = re.split(pattern, text, maxsplit=1)
        text = f"\n\n{block}\n\n".join(pieces)
    return text


def _spaced(text: str) -> str:
    """Set headings apart by blank lines, as Markdown readers expect."""
    out: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = re.match(r"`{3,}", line)
        if mark and (not fence or line == fence):
            fence = "" if fence else mark[0]
        heading = not fence and re.match(r"#{1,6} ", line)
        out += ["", line, ""] if heading else [line]
    return "\n".join(out)
