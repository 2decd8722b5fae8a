"""Admonitions and tabs of Markdown dialects: MkDocs, Docusaurus, MyST, GitHub."""

import re

_NAMES = (
    "abstract|admonition|attention|bug|caution|danger|details|error|example|failure|hint|important"
    "|info|note|question|quote|seealso|success|summary|tip|todo|warning"
)
_INDENTED = re.compile(
    rf"""(?:(?:!!!|\?\?\?\+?) +(?P<name>(?:{_NAMES})\b|[\w-]+(?=[\w -]* "))"""
    r"""(?: +(?:inline|end|annotate))*|===[+!]?)(?: *"(?P<title>[^"\n]*)")?"""
)
"""MkDocs: what belongs to it is indented by four spaces."""
_FENCED = re.compile(
    rf"(?P<fence>(?P<ticks>`{{3,}})|:{{3,}}) *(?P<brace>\{{)?(?P<name>{_NAMES})(?![\w-])"
    r"(?(brace)\}|(?(ticks)(?!))) *\[?(?P<title>[^\]\n]*)\]?",
    re.IGNORECASE,
)
"""Docusaurus (``:::tip``) and MyST (``:::{tip}``): what belongs to it goes up to its fence."""
_QUOTED = re.compile(r"([ \t]*(?:> ?)+)\[!(\w+)\][+-]? *([^\n]*)")
"""GitHub and Obsidian, which may have a title of its own behind it."""
_CODE = re.compile(r"(?:[-*+] +|\d+[.)] +)*(`{3,}|~{3,})")


def without_boxes(text: str) -> str:
    """Return a Markdown text whose boxes have their label in bold, and their text as it is."""
    lines: list[str] = []
    indents: list[int] = []  # of the boxes that are open
    fences: list[str] = []
    code = ""
    for written in text.split("\n"):
        bare = written.lstrip(" ")
        indent = len(written) - len(bare)
        while bare and not code and indents and indent < indents[-1] + 4:
            indents.pop()
        depth = 4 * len(indents)
        line = written[min(depth, indent) :]
        box = None if code else _INDENTED.fullmatch(bare) or _FENCED.fullmatch(bare)
        if code:
            if bare.startswith(code) and not bare.strip(code[0] + " "):
                code = ""
        elif box and (label := _label(box)):
            lines += ["", f"{' ' * (indent - depth)}**{label}**", ""]
            if box.re is _FENCED:
                fences.append(box["fence"])
            else:
                indents.append(indent)
            continue
        elif fences and bare.rstrip() == fences[-1]:
            fences.pop()
            line = ""
        elif opened := _CODE.match(bare):
            code = opened[1]
        elif quoted := _QUOTED.fullmatch(line):
            line = f"{quoted[1]}**{quoted[3].strip() or quoted[2].capitalize()}**"
        lines.append(line)
    return "\n".join(lines)


def _label(box: re.Match[str]) -> str:
    """Return the title of a box, else its kind; of ``===`` alone, which underlines, nothing."""
    return (box["title"] or "").strip() or (box["name"] or "").capitalize()
