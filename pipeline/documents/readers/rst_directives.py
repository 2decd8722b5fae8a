"""Stand-ins for directives that docutils does not know; imported when a file is read."""

from collections.abc import Callable
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive, directives


class _AnyOption(dict[str, Callable[[str], Any]]):
    """Takes each option as it stands, whatever its name."""

    def __missing__(self, name: str) -> Callable[[str], Any]:
        return directives.unchanged  # type: ignore[no-any-return]  # docutils has no types


class Passing(Directive):  # type: ignore[misc]  # docutils has no types
    """Keeps argument and content as text; the content is parsed."""

    has_content = True
    optional_arguments = 1
    final_argument_whitespace = True
    option_spec = _AnyOption({"class": directives.unchanged})

    def run(self) -> list[nodes.Node]:
        """Return a box with the argument as a paragraph before the content."""
        box = nodes.container()
        if self.arguments and self.name != "only":
            about = nodes.literal if ":" in self.name else nodes.inline
            for line in self.arguments[0].split("\n"):
                box += nodes.paragraph("", "", about(text=line.strip()))
        self.state.nested_parse(self.content, self.content_offset, box)
        return [box]


class Code(Passing):
    """Keeps the content as code in the language of the argument."""

    def run(self) -> list[nodes.Node]:
        """Return a literal block."""
        text = "\n".join(self.content)
        language = self.arguments[0].split()[:1] if self.arguments else []
        caption = self.options.get("caption")
        box = [nodes.paragraph(text=caption)] if caption else []
        return [*box, nodes.literal_block(text, text, classes=["code", *language])]


class Silent(Passing):
    """Keeps nothing."""

    def run(self) -> list[nodes.Node]:
        """Return no node."""
        return []
