"""HTML to Markdown: the main content of a page, its tables and code, without the frame."""

from pipeline.documents.clean.web.page import main_content

__all__ = ["main_content"]
