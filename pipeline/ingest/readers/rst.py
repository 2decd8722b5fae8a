"""reStructuredText as Markdown, with the directives and roles of Sphinx that docutils lacks."""

import re
from typing import Any

from pipeline.ingest.readers.decode import decode
from pipeline.ingest.readers.markdown import first_heading
from pipeline.ingest.readers.reading import ReadFailure, Reading, whole

_DIRECTIVE = re.compile(r"^[ \t]*\.\. ([A-Za-z][\w:+.-]{0,60})::", re.MULTILINE)
_ROLE = re.compile(r":([A-Za-z][\w:+.-]{0,60}):`")
_TARGET = re.compile(r"(.+?)\s*<[^<>]+>", re.DOTALL)
"""``text <target>`` of a role; the text is what a reader sees."""

SETTINGS = {
    "file_insertion_enabled": False,  # no include, no csv-table from a file
    "raw_enabled": False,
    "_disable_config": True,
    "report_level": 5,
    "halt_level": 6,
    "line_length_limit": 1_000_000,
    "syntax_highlight": "none",
    "initial_header_level": 1,
    "doctitle_xform": False,
    "input_encoding": "unicode",
    "output_encoding": "unicode",
}


def read(data: bytes) -> Reading:
    """Read a document; unknown directives and roles keep their text.

    Raises:
        ReadFailure: ``unreadable_rst``, or see
            :func:`pipeline.ingest.readers.decode.decode`.
    """
    from docutils.core import publish_parts
    from docutils.utils import SystemMessage
    from markdownify import markdownify

    source = decode(data)
    _learn(source)
    try:
        html = publish_parts(source, writer="html5", settings_overrides=SETTINGS)["body"]
    # Its parser and writer raise much on hostile sources; one file must not end the batch.
    except (SystemMessage, ValueError, LookupError, AttributeError, AssertionError) as error:
        raise ReadFailure("unreadable_rst", f"{type(error).__name__}: {error}") from error
    text = markdownify(
        html,
        heading_style="ATX",
        bullets="-",
        table_infer_header=True,
        escape_asterisks=False,
        escape_underscores=False,
        code_language_callback=_language,
    ).strip()
    return whole(first_heading(text), text)


def _language(element: Any) -> str:
    names = [name for name in element.get("class") or [] if name not in ("code", "literal-block")]
    return names[0] if names else ""


def _learn(source: str) -> None:
    """Let docutils know the directives and roles of a source that it does not know."""
    from docutils import nodes
    from docutils.parsers.rst import Directive, directives, roles

    class Passing(Directive):  # type: ignore[misc]  # docutils has no types
        """Keeps argument and content of a directive as text."""

        has_content = True
        optional_arguments = 1
        final_argument_whitespace = True
        option_spec = None

        def run(self) -> list[nodes.Node]:
            box = nodes.container()
            if self.arguments:
                box += nodes.paragraph(text=self.arguments[0])
            if self.name.endswith(("code", "code-block", "sourcecode")):
                language = self.arguments[:1]
                text = "\n".join(self.content)
                return [nodes.literal_block(text, text, classes=["code", *language])]
            self.state.nested_parse(self.content, self.content_offset, box)
            return [box]

    def passing(
        name: str, raw: str, text: str, line: int, inliner: Any, *_: Any
    ) -> tuple[list[nodes.Node], list[nodes.Node]]:
        shown = _TARGET.fullmatch(text)
        return [nodes.literal(raw, shown[1] if shown else text.lstrip("~!"))], []

    language = __import__("docutils.parsers.rst.languages.en", fromlist=["en"])
    for name in set(_DIRECTIVE.findall(source)):
        if name not in language.directives or name in ("code-block", "sourcecode"):
            directives.register_directive(name, Passing)
    for name in set(_ROLE.findall(source)):
        if name not in language.roles:
            roles.register_local_role(name, passing)
