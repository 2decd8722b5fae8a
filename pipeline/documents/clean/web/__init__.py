"""HTML to Markdown: the main content of a page, its tables and code, without the frame."""

from pipeline.documents.clean.web.page import fragment, main_content

__all__ = ["fragment", "main_content"]
