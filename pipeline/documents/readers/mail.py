"""Mail: the subject as title, the body as text; attachments are named and not opened."""

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from pipeline.documents.readers.decode import decode
from pipeline.documents.readers.reading import Failure, ReadFailure, Reading, Record


def read(data: bytes) -> Reading:
    """Read a mail (RFC 5322, MIME); its plain body, else the HTML one.

    Raises:
        ReadFailure: ``empty_file`` (no body with text) or ``unreadable_mail``.
    """
    if not data:
        raise ReadFailure("empty_file", "0 bytes found", 0, 1)
    try:
        mail = message_from_bytes(data, policy=default)
        assert isinstance(mail, EmailMessage)
        body = mail.get_body(("plain", "html"))
        payload = b"" if body is None else body.get_payload(decode=True)
        kind = "" if body is None else body.get_content_subtype()
        charset = None if body is None else body.get_content_charset()
        subject = " ".join(str(mail["subject"] or "").split())
        attached = [
            part.get_filename() or f"part {number}"
            for number, part in enumerate(mail.iter_attachments(), start=1)
        ]
    # The parser promises not to raise, but headers of malformed mails make it do so.
    except (
        *(ValueError, LookupError, AttributeError, AssertionError, TypeError),
        RecursionError,  # parts in parts in parts
    ) as error:
        raise ReadFailure("unreadable_mail", f"{type(error).__name__}: {error}") from error
    failures = [
        Failure(name, "attachment_not_read", "save it beside the mail to have it read")
        for name in attached
    ]
    if not isinstance(payload, bytes) or not payload.strip():
        raise ReadFailure("empty_file", f"no body with text found, {len(attached)} attachments")
    text = decode(payload, charset)
    record = Record("", subject, text, 0, len(text), "html" if kind == "html" else "text")
    return Reading([record], failures)
