"""Mail: the subject as title, the text as its reader sees it; attachments are named, not opened."""

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage, MIMEPart
from email.policy import default
from html import escape, unescape
from itertools import chain

from pipeline.documents.left_out import leave_out, words
from pipeline.documents.readers.decode import decode
from pipeline.documents.readers.reading import Failure, ReadFailure, Reading, Record, failing_as

STUB = 0.3  # of the words of the HTML form; a plain one with less asks for a better program
_MARKUP = re.compile(r"(?is)<(script|style|head)\b.*?</\1\s*>|<[^<>]*>")


def read(data: bytes) -> Reading:
    """Read a mail (RFC 5322, MIME): all text parts in their order, of alternatives the plain one.

    The HTML form counts where the plain one is blank or says much less. ReadFailure:
    ``empty_file`` (no part with text), ``unreadable_mail``.
    """
    # The parser promises not to raise, but headers of malformed mails make it do so.
    with failing_as("unreadable_mail"):
        mail = message_from_bytes(data, policy=default)
        assert isinstance(mail, EmailMessage)
        texts = [(text, kind) for text, kind in _texts(mail) if text.strip()]
        subject = " ".join(str(mail["subject"] or "").split())
        attached = list(_attached(mail))
    unread = Failure("attachment_not_read", "save it beside the mail to have it read")
    failures = [unread._replace(record=name) for name in attached]
    leave_out("attachments", len(attached), ", ".join(attached))
    if not texts:
        raise ReadFailure("empty_file", f"no part with text found, {len(attached)} attachments")
    if any(kind == "html" for _, kind in texts):
        kind = "html"
        text = "\n".join(text if kind == "html" else _page(text) for text, kind in texts)
    else:
        kind, text = "text", "\n\n".join(text for text, _ in texts)
    return Reading([Record("", subject, text, 0, len(text), kind)], failures)


def _texts(part: MIMEPart) -> list[tuple[str, str]]:
    """Return what a reader sees as text, in its order, each with its kind: plain or html."""
    kind = part.get_content_type()
    if part.is_attachment() or kind.startswith("message/"):
        return []
    if not part.is_multipart():
        plain_or_html = kind in ("text/plain", "text/html")
        return [(_text(part), part.get_content_subtype())] if plain_or_html else []
    inner = [_texts(each) for each in part.iter_parts()]
    return _best(inner) if kind == "multipart/alternative" else list(chain.from_iterable(inner))


def _best(forms: list[list[tuple[str, str]]]) -> list[tuple[str, str]]:
    """Return the first form of a message, unless a later one says much more."""
    said = [sum(_words(text, kind) for text, kind in form) for form in forms]
    most = max(said, default=0)
    return next((form for form, has in zip(forms, said, strict=True) if has > STUB * most), [])


def _words(text: str, kind: str) -> int:
    return words(unescape(_MARKUP.sub(" ", text)) if kind == "html" else text)


def _text(part: MIMEPart) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes) or not payload:
        return ""
    return decode(payload, part.get_content_charset())


def _page(text: str) -> str:
    return "".join(f"<p>{escape(part)}</p>" for part in re.split(r"\n\s*\n", text) if part.strip())


def _attached(mail: MIMEPart) -> Iterator[str]:
    """Yield the names of what is attached and of pictures."""
    seen = {id(part) for part in mail.walk() if part.get_content_maintype() == "text"}
    for number, part in enumerate(mail.iter_attachments(), start=1):
        if part.is_attachment() or id(part) not in seen:
            yield part.get_filename() or f"part {number}"
