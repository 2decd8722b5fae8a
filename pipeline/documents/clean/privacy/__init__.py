"""Personal data and secrets: found by checksum, form and context, replaced by typed placeholders.

A card must pass Luhn's check and have a known prefix, an IBAN its checksum and its country's
structure, a national id the rules of its country and a label beside it, a phone number the
numbering plan, an address of the internet must be a public one: version numbers, serial numbers
and dates stay. Names of people need a model and stay as well.
"""

from pipeline.documents.clean.privacy.ids import countries_of
from pipeline.documents.clean.privacy.redact import Redacted, kinds_of, redact
from pipeline.documents.clean.privacy.spans import Span

__all__ = ["Redacted", "Span", "countries_of", "kinds_of", "redact"]
