"""What the tags, classes and roles of a page say about its parts."""

import re
from collections.abc import Callable
from functools import lru_cache

UNSEEN = frozenset(
    (
        *("script", "style", "noscript", "template", "iframe", "svg", "button", "select"),
        *("option", "input", "object", "embed", "canvas", "audio", "video"),
        *("applet", "map", "rp", "rt"),
    )
)
"""Elements within a line that hold no text of the document."""

DROPPED = UNSEEN | {"head", "nav", "footer", "dialog", "frameset"}
"""Elements that hold no text of the document."""

INLINE = frozenset(
    (
        *("a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "data"),
        *("del", "dfn", "em", "font", "i", "img", "ins", "kbd", "mark", "math", "q", "s"),
        *("samp", "small", "span", "strike", "strong", "sub", "sup", "time", "tt", "u"),
        *("var", "wbr", "br", "ruby", "rb", "nobr", "picture", "source", "output"),
    )
)
"""Elements that run on within a line; the others begin a new block."""

HEADINGS = ("h1", "h2", "h3", "h4", "h5", "h6")

LANDMARKS = ("main", "article")

ROLES = frozenset(
    (
        *("navigation", "banner", "contentinfo", "complementary"),
        *("search", "dialog", "alertdialog"),
    )
)
"""ARIA roles of what stands around the text."""

_FRAME = re.compile(
    r"(?:^|[-_ ])(?:nav|navbar|navigation|nav(?:header|footer)|breadcrumbs?|sidebar"
    r"|gdpr|footer|masthead|toc|newsletter|pagination|skip-link|site-header"
    r"|page-header|related(?:-[a-z]+)?|comment-list|disqus_thread|sphinxsidebar"
    r"|printfooter|catlinks|navbox|jump-to-nav|edit-this-page|prev-next)(?:$|[-_ ])"
    r"|(?:^|[-_ ])(?:menu|cookies?|consent|share|social|feedback|comments)"
    r"(?:[-_](?:area|banner|bottom|box|buttons?|bar|container|content|dialog|form|header|icons?"
    r"|inner|items?|left|links?|list|main|media|message|modal|nav|notice|outer|overlay|panel|policy"
    r"|popup|primary|right|secondary|section|settings|sharing|this|toggle|top|widget|wrap(?:per)?"
    r"|\d+))*(?:$| )",
    re.IGNORECASE,
)
"""Words of classes and ids, of what stands around the text. Some are of one generator: DocBook
(``navheader``), Sphinx (``sphinxsidebar``), MediaWiki (``catlinks``). Some mean that only beside
words for parts of a page: ``share-buttons``, not ``share-price``."""

_SECTION = re.compile(
    r"(?:^|\s)(?:(?:ref)?sect(?:ion|\d)?|chapter|appendix|part|preface|article|refentry"
    r"|level\d)(?:$|\s)"
)
ID_TAGS = frozenset(("div", "ul", "ol", "table", "header"))
"""Elements whose id counts: a section about cookies has the id ``cookies`` too, and a heading."""

_MARKS = re.compile(
    r"(?:^|[-_ ])(?:headerlink|permalink|hash-link|anchorjs-link|heading-anchor|heading-link"
    r"|mw-editsection|editsection|linenos?|line-?numbers?(?:-rows)?|blob-num|gutter|sr-only"
    r"|visually-?hidden|screen-reader-text|click-advice|copybtn"
    r"|copiable-(?:link|anchor))(?:$|[-_ ])",
    re.IGNORECASE,
)
"""Classes of marks beside the text: the pilcrow behind a heading, the numbers of lines of code,
rdoc's hint to click."""

_LINES_OF_CODE = re.compile(r"(?:^|\s)(?:fragment|highlight)(?:$|\s)")
"""Classes of code of which each line is an element: Doxygen's, and GitHub's table."""

_BOX = re.compile(
    r"(?:^|[-_ ])(?:admonition(?:block)?|alert|callout|note|warning|tip|caution|important|danger"
    r"|hint|attention|notice|topic)(?:$|[-_ ])",
    re.IGNORECASE,
)
_PANEL = re.compile(
    r"(?:^|[-_ ])(?:tab(?:s|bed|panel|-?content|-?pane)?|panel|accordion|collapse|collapsible"
    r"|answer|faq|details|disclosure|expandable)(?:$|[-_ ])",
    re.IGNORECASE,
)
_TURNS = frozenset(("next", "prev", "previous", "up"))
_LANGUAGE = re.compile(
    r"(?:^|\s)(?:(?:language|lang|highlight-source|highlight|sourceCode|brush:)[-\s]\s*|code\s)"
    r"([\w+#.-]{1,30})"
)
_NO_LANGUAGE = frozenset(
    (
        *("default", "none", "text", "plain", "plaintext", "notranslate", "tab-size"),
        *("no-highlight", "nohighlight", "source", "code"),
    )
)


def _found_in(pattern: re.Pattern[str]) -> Callable[[str], bool]:
    return lru_cache(maxsize=4096)(lambda names: pattern.search(names) is not None)


is_frame = _found_in(_FRAME)
"""Whether classes or an id are those of navigation, banners, footers or side columns."""
is_section = _found_in(_SECTION)
"""Whether classes are those of a section of the text, whose id is made of its heading."""
is_mark = _found_in(_MARKS)
"""Whether classes are those of a mark beside the text."""
is_box = _found_in(_BOX)
"""Whether classes are those of a box with a label, such as a note or a warning."""
is_label = _found_in(re.compile(r"title|heading", re.IGNORECASE))
"""Whether classes are those of the label of a box."""
draws_lines = _found_in(_LINES_OF_CODE)
"""Whether classes are those of code of which each line may be an element."""
is_panel = _found_in(_PANEL)
"""Whether classes are those of a panel that a tab or a click on a question shows."""
is_note = _found_in(re.compile(r"(?:foot|end|side|margin-?|rear)notes?|citation", re.IGNORECASE))
"""Whether classes, or a type of EPUB, are those of a note."""


def turns_pages(attributes: dict[str, str]) -> bool:
    """Whether a link leads to the page before, behind or above, as manuals of one make have it."""
    return attributes.get("rel") in _TURNS or attributes.get("accesskey") in ("n", "p", "u")


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
