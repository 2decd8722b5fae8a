"""Keys, tokens and passwords: by the form their issuer gives them, or by a label beside them."""

import math
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pipeline.documents.clean.privacy.spans import Found, apart

_ISSUED = [
    (issuer["literals"], re.compile(issuer["pattern"]))
    for issuer in tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8")).values()
]
_STEM = re.compile(
    "key|secret|token|passw|pwd|passphrase|bearer|credential|kennwort|mot de passe|senha"
    "|wachtwoord|contraseña|hasło|пароль|密码|密碼|パスワード|비밀번호"
)
"""What the word that ends a label begins with; in small letters, which is far quicker."""
_KEYS_OF = (
    *("api", "access", "auth", "account", "secret", "signing", "private", "encryption", "deploy"),
    *("shared", "master", "service", "client", "license"),
)
"""What makes a key a secret: a primary key, a key of the keyboard or a public key is none."""
_BEHIND_LABEL = re.compile(
    r"(?i:ord|d|ort|s)?[\"'`*]{0,3}(?P<sign>\s{0,3}(?:[:=\uff1a]{1,2}>?|is\b|ist\b|est\b|es\b)\s{0,3}|\s)"
    r"[\"'`*]{0,3}(?P<value>[A-Za-z0-9][\w.~+/=!@#$%^&-]{9,511})(?!\()"
)
_IN_ADDRESS = re.compile(r"://[^\s/:@\"'<>|]{0,64}:([^\s/@\"'<>|]{3,256})@")
"""``scheme://user:password@host``"""
_STAND_IN = re.compile(
    r"\A[\[{$%*<]|pass(?:word|wd|phrase)?\b|secret|token|x{3,}|\.{3}", re.IGNORECASE
)
"""``user:password@``, ``{user}:{pw}@``: a sign for a password, in documentation."""
MIN_ENTROPY = 3.0
"""Bits a character of a labelled value; detect-secrets (Yelp) takes 3.0 for hexadecimal."""
MIN_ISSUED_ENTROPY = 2.5
"""Bits a character of what has an issuer's form: ``ghp_xxxxxxxxxxxxxxxxxxxx`` stands for a key."""
AWS_SECRET = 40
"""Characters of a secret access key, base64: now and then with few digits."""


def find_keys(text: str) -> Iterator[Found]:
    """Find keys, tokens, passwords in addresses, and labelled values of high entropy.

    Without label and issuer's form a value stays: hashes and base64 have as much entropy as a key.
    """
    found: list[Found] = []
    for literals, pattern in _ISSUED:
        if any(literal in text for literal in literals):
            found += [
                Found(*match.span(), match[0])
                for match in pattern.finditer(text)
                if _stands_alone(text, match.start())
                and _entropy(match[0]) >= MIN_ISSUED_ENTROPY
                and any(map(str.isdigit, match[0]))
            ]
    found += [
        Found(*match.span(1), match[1])
        for match in _IN_ADDRESS.finditer(text)
        if not _STAND_IN.search(match[1])
    ]
    return apart([*found, *_labelled(text)])


def _stands_alone(text: str, start: int) -> bool:
    # In the pattern, a \\b would keep the search from going by the literal behind it.
    before = text[start - 1 : start] if text[start] != "-" else ""
    return not ((before.isascii() and before.isalnum()) or before == "_")


def _labelled(text: str) -> Iterator[Found]:
    # As long as the text: the small letter of this capital alone has two characters.
    lowered = text.replace("\u0130", "\u0131").lower()
    for stem in _STEM.finditer(lowered):
        match = _BEHIND_LABEL.match(text, stem.end())
        if match and (stem[0] != "key" or _is_secret_key(lowered, stem.start(), match["sign"])):
            value = match["value"].rstrip(".!,")
            if _is_random(value):
                yield Found(match.start("value"), match.start("value") + len(value), value)


def _is_secret_key(lowered: str, at: int, sign: str) -> bool:
    # "signing key 1988 2D92 ..." gives the fingerprint of a public one.
    label = lowered[max(0, at - 20) : at].rstrip(" _-")
    return label.endswith(_KEYS_OF) and not sign.isspace()


def _is_random(value: str) -> bool:
    digits = sum(char.isdigit() for char in re.sub(r"%[0-9A-F]{2}", "", value))
    mixed = 0 < digits < len(value) and re.search(r"[A-Za-z]", value)
    # "token:FromEmail/ToEmail1/ToEmail2" is a path; base64 has 16 % digits.
    path = "/" in value and digits < 0.1 * len(value) and len(value) != AWS_SECRET
    return bool(mixed) and not path and _entropy(value) >= MIN_ENTROPY


def _entropy(value: str) -> float:
    """Return Shannon's entropy in bits a character."""
    shares = [count / len(value) for count in Counter(value).values()]
    return -sum(share * math.log2(share) for share in shares)
