"""What tag, classes, role and style of an element say: content, certainly none, or doubtful."""

import re
from collections.abc import Callable
from functools import lru_cache
from itertools import islice
from typing import Any

UNSEEN = {
    *("script", "style", "noscript", "template", "iframe", "svg", "button", "select"),
    *("option", "input", "object", "embed", "canvas", "audio", "video"),
    *("applet", "map", "rp", "rt"),
}
"""Elements within a line that hold no text of the document."""
DROPPED = UNSEEN | {"head", "nav", "footer", "dialog", "frameset"}
"""Elements that hold no text of the document."""
INLINE = {
    *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data"),
    *("del", "dfn", "em", "font", "i", "img", "ins", "kbd", "mark", "math", "q", "s"),
    *("samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u"),
    *("var", "wbr", "br", "ruby", "rb", "nobr", "picture", "source", "output"),
}
"""Elements that run on within a line; the others begin a new block."""
HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")
_LABELLED = frozenset((*HEADINGS, "summary", "dt", "legend"))
"""Elements whose only text may be a button: the question above an answer that a click opens."""
_OF_A_LINE = INLINE | _LABELLED | {"p", "li", "dd", "td", "th"}
MOST_BESIDE = 3
"""Elements in a heading that is a question to click on; each of more would read all of it again."""
KEPT, DOUBTFUL, SUSPECT, OUT = "kept", "doubtful", "suspect", "out"
"""Verdicts on an element; of one whose tag alone is odd, its content decides."""
_KEPT_ROLES = ("note", "doc-footnote", "doc-endnote", "doc-tip")
_ROLES = (
    *("navigation", "banner", "contentinfo", "complementary"),
    *("search", "dialog", "alertdialog"),
)
"""ARIA roles of what stands around the text."""
_NO_DISPLAY = re.compile(r"display\s*:\s*none", re.IGNORECASE)
_ID_TAGS = frozenset(("div", "ul", "ol", "table", "header"))
"""Elements whose id counts: a section about cookies has the id ``cookies`` too, and a heading."""
_TURNS = ("next", "prev", "previous", "up")
_LANGUAGE = re.compile(
    r"(?:^|\s)(?:(?:language|lang|highlight-source|highlight|sourceCode|brush:)[-\s]\s*|code\s)"
    r"([\w+#.-]{1,30})"
)
_NO_LANGUAGE = (
    *("default", "none", "text", "plain", "plaintext", "notranslate", "tab-size"),
    *("no-highlight", "nohighlight", "source", "code"),
)


def _found_in(pattern: str) -> Callable[[str], bool]:
    """Return what tells whether classes, an id or a type of EPUB have a pattern."""
    search = re.compile(pattern).search
    return lru_cache(maxsize=4096)(lambda names: search(names) is not None)


is_frame = _found_in(
    r"(?i)(?:^|[-_ ])(?:nav|navbar|navigation|nav(?:header|footer)|breadcrumbs?|sidebar"
    r"|gdpr|footer|masthead|toc|newsletter|pagination|skip-link|site-header"
    r"|page-header|related(?:-[a-z]+)?|comment-list|disqus_thread|sphinxsidebar"
    r"|printfooter|catlinks|navbox|jump-to-nav|edit-this-page|prev-next)(?:$|[-_ ])"
    r"|(?:^|[-_ ])(?:menu|cookies?|consent|share|social|feedback|comments)"
    r"(?:[-_](?:area|banner|bottom|box|buttons?|bar|container|content|dialog|form|header|icons?"
    r"|inner|items?|left|links?|list|main|media|message|modal|nav|notice|outer|overlay|panel|policy"
    r"|popup|primary|right|secondary|section|settings|sharing|this|toggle|top|widget|wrap(?:per)?"
    r"|\d+))*(?:$| )"
)
"""What stands around the text. Some words are of one generator: DocBook (``navheader``), Sphinx
(``sphinxsidebar``), MediaWiki (``catlinks``). Some mean that only beside words for parts of a page:
``share-buttons``, not ``share-price``."""
is_section = _found_in(
    r"(?:^|\s)(?:(?:ref)?sect(?:ion|\d)?|chapter|appendix|part|preface|article|refentry"
    r"|level\d)(?:$|\s)"
)
"""A section of the text, whose id is made of its heading."""
is_mark = _found_in(
    r"(?i)(?:^|[-_ ])(?:headerlink|permalink|hash-link|anchorjs-link|heading-anchor|heading-link"
    r"|mw-editsection|editsection|linenos?|line-?numbers?(?:-rows)?|blob-num|gutter|sr-only"
    r"|visually-?hidden|screen-reader-text|click-advice|copybtn"
    r"|copiable-(?:link|anchor))(?:$|[-_ ])"
)
"""A mark beside the text: the pilcrow of a heading, numbers of lines, rdoc's hint to click."""
is_box = _found_in(
    r"(?i)(?:^|[-_ ])(?:admonition(?:block)?|alert|callout|note|warning|tip|caution|important"
    r"|danger|hint|attention|notice|topic)(?:$|[-_ ])"
)
"""A box with a label, such as a note or a warning."""
is_label = _found_in(r"(?i)title|heading")
draws_lines = _found_in(r"(?:^|\s)(?:fragment|highlight)(?:$|\s)")
"""Code of which each line may be an element: Doxygen's, and GitHub's table."""
is_panel = _found_in(
    r"(?i)(?:^|[-_ ])(?:tab(?:s|bed|panel|-?content|-?pane)?|panel|accordion|collapse|collapsible"
    r"|answer|faq|details|disclosure|expandable)(?:$|[-_ ])"
)
"""A panel that a tab or a click on a question shows."""
is_note = _found_in(r"(?i)(?:foot|end|side|margin-?|rear)notes?|citation")


def tag_of(element: Any) -> str:
    """Return the name of an element, or of what it stands for: elements of a site, some buttons."""
    tag: str = element.tag
    if tag == "button":
        return _button(element)
    if tag == "script":
        return "math" if (element.get("type") or "").startswith("math/tex") else tag
    if "-" in tag or tag == "label":
        around = (each.tag for each in element.iterancestors() if "-" not in each.tag)
        if next(around, "") in _OF_A_LINE:
            return "span"
    return tag


def _button(element: Any) -> str:
    """Return ``p`` for a button that is text: a tab, or a question, all that a heading says."""
    if element.get("role") == "tab":
        return "p"
    text = text_of(element)
    for around in islice(element.iterancestors(), 2):
        if around.tag in _LABELLED and len(around) <= MOST_BESIDE and text_of(around) == text:
            return "span"
    return "p" if text.endswith(("?", "\uff1f", "\u061f", "\u037e")) and " " in text else "button"


def text_of(element: Any) -> str:
    """Return the text of an element on one line."""
    return " ".join("".join(element.itertext()).split())


def verdict_on(tag: str, element: Any) -> str:
    """Say whether an element is kept, doubtful, a suspect or certainly no content."""
    if tag in DROPPED:
        return OUT
    names, role = element.get("class", ""), element.get("role")
    out_of_sight = is_hidden(element) or is_mark(names)
    if tag in INLINE:
        return OUT if out_of_sight else KEPT
    if tag in ("main", "article"):
        return KEPT
    if tag == "aside":
        note = is_note(f"{names} {element.get('epub:type', '')}")
        if note or is_box(names) or role in _KEPT_ROLES:
            return KEPT
    if (
        out_of_sight
        or role in _ROLES
        or (tag not in HEADINGS and is_frame(names))
        or (tag in _ID_TAGS and is_frame(element.get("id", "")) and not is_section(names))
    ):
        return SUSPECT
    return DOUBTFUL if tag in ("aside", "form") else KEPT


def is_hidden(element: Any) -> bool:
    """Whether a reader does not see it; a panel that a click shows is hidden and yet content."""
    out_of_sight = (
        element.get("aria-hidden") == "true"
        or element.get("hidden") is not None
        or _NO_DISPLAY.search(element.get("style", "")) is not None
    )
    panel_role = element.get("role") in ("tabpanel", "region")
    return bool(out_of_sight) and not (panel_role or is_panel(element.get("class", "")))


def turns_pages(link: Any) -> bool:
    """Whether a link leads to the page before, behind or above, as manuals of one make have it."""
    return link.get("rel") in _TURNS or link.get("accesskey") in ("n", "p", "u")


@lru_cache(maxsize=4096)
def code_language(names: str) -> str:
    """Return the language that the classes of a block of code name; empty when they name none."""
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    for found in _LANGUAGE.finditer(names):
        if found[1].lower() in _NO_LANGUAGE:
            continue
        if found[0].lstrip().startswith("code"):  # of a look, mostly: "code panel"
            try:
                get_lexer_by_name(found[1])
            except ClassNotFound:
                continue
        return found[1]
    return ""
