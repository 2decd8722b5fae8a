"""Keys, tokens and passwords: by the form their issuer gives them, or by a label beside them."""

import math
import re
from collections import Counter
from collections.abc import Iterator

from pipeline.documents.clean.privacy.spans import Found

_ISSUED: tuple[tuple[tuple[str, ...], str], ...] = (
    # PEM; the end may be missing.
    (
        ("-----BEGIN",),
        r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----(?:(?!-----)[\s\S]){0,8192}"
        r"(?:-----END (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----)?",
    ),
    (("eyJ",), r"eyJ[\w-]{8,4096}\.eyJ[\w-]{8,}\.[\w-]{8,}"),  # JSON web token
    (  # Stripe and its imitators
        ("_live_", "_test_", "_prod_", "_sandbox_"),
        r"[a-z]{2,10}_(?:live|test|prod|sandbox)_[A-Za-z0-9]{12,}\b",
    ),
    (("sk-", "sk_"), r"sk[-_][A-Za-z0-9][\w-]{18,}[A-Za-z0-9]\b"),  # OpenAI and others
    (("whsec_",), r"whsec_[A-Za-z0-9+/]{24,}={0,2}"),  # Stripe and Svix web hooks
    (("gh",), r"gh[pousr]_[A-Za-z0-9]{20,}\b"),  # GitHub
    (("github_pat_",), r"github_pat_\w{22,}\b"),
    (("gl",), r"gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|imt)-[\w-]{20,}"),  # GitLab
    (("hf_",), r"hf_[A-Za-z0-9]{20,}\b"),  # Hugging Face
    (("npm_",), r"npm_[A-Za-z0-9]{30,}\b"),
    (("pypi-",), r"pypi-[A-Za-z0-9_-]{50,}"),
    (("AKIA", "ASIA"), r"(?:AKIA|ASIA)[A-Z0-9]{16}\b"),  # AWS
    (("AIza",), r"AIza[\w-]{35}"),  # Google Cloud
    (("ya29.",), r"ya29\.[\w-]{20,}"),
    (("GOCSPX-",), r"GOCSPX-[\w-]{24,}"),
    (("8Q~",), r"(?<![\w~.-])[A-Za-z0-9_~.-]{3}8Q~[A-Za-z0-9_~.-]{31,34}(?![\w~-])"),  # Entra ID
    (("AccountKey=", "AccessKey="), r"(?<=(?:ccountKey|AccessKey)=)[A-Za-z0-9+/]{40,100}={0,2}"),
    (("sig=",), r"(?<=[?&]sig=)[A-Za-z0-9%+/-]{40,}"),  # Azure: signature of a shared link
    (("xox", "xapp-"), r"xox[abeoprs]-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{20,}"),  # Slack
    (
        ("hooks.slack.com/", "discord"),
        r"(?<=hooks\.slack\.com/services/)[A-Z0-9]{8,}/[A-Z0-9]{8,}/\w{16,}"
        r"|(?<=/api/webhooks/)\d{17,20}/[\w-]{40,}",
    ),
    (("SG.",), r"SG\.[\w-]{16,32}\.[\w-]{32,64}"),  # SendGrid
    ((":AA",), r"\d{8,10}:AA[\w-]{32,34}(?![\w-])"),  # Telegram
    (("dop_v1_", "doo_v1_", "dor_v1_"), r"do[opr]_v1_[a-f0-9]{64}\b"),  # DigitalOcean
    (("shpat_", "shpss_", "shpca_"), r"shp(?:at|ss|ca)_[a-fA-F0-9]{32}\b"),  # Shopify
    (("dckr_pat_",), r"dckr_pat_[\w-]{20,}"),  # Docker Hub
    (("dapi",), r"dapi[a-f0-9]{32}\b"),  # Databricks
    (("hvs.",), r"hvs\.[\w-]{24,}"),  # Vault
    (("glsa_", "glc_"), r"gl(?:sa|c)_[A-Za-z0-9_+/=]{24,}"),  # Grafana
    (("lin_api_",), r"lin_api_[A-Za-z0-9]{32,}\b"),  # Linear
    (("AGE-SECRET-KEY-",), r"AGE-SECRET-KEY-1[A-Z0-9]{50,}"),
)
"""Literals of which one must be in the text before the pattern is tried, and the pattern. The
forms are the issuers' own, as their documentation gives them."""

_PATTERNS = [(literals, re.compile(pattern)) for literals, pattern in _ISSUED]

_STEMS = (
    *("key", "secret", "token", "passw", "pwd", "passphrase", "bearer", "credential"),
    *("kennwort", "mot de passe", "senha", "wachtwoord"),
)
_STEMS_BEYOND_ASCII = (
    *("contraseña", "hasło", "пароль"),
    *("密码", "密碼", "パスワード", "비밀번호"),
)
"""Words that a label ends with; a search for each is quicker than a pattern for all of them."""
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

    A value without a label and without an issuer's form stays: hashes of commits, digests and
    base64 have as much entropy as a key.
    """
    found: list[Found] = []
    for literals, pattern in _PATTERNS:
        if any(literal in text for literal in literals):
            found += [
                Found(match.start(), match.end(), match[0])
                for match in pattern.finditer(text)
                if _stands_alone(text, match.start())
                and entropy(match[0]) >= MIN_ISSUED_ENTROPY
                and any(map(str.isdigit, match[0]))
            ]
    if "://" in text and "@" in text:
        found += [
            Found(match.start(1), match.end(1), match[1])
            for match in _IN_ADDRESS.finditer(text)
            if not _STAND_IN.search(match[1])
        ]
    found += _labelled(text)
    end = 0
    for item in sorted(found, key=lambda item: (item.start, -item.end)):
        if item.start >= end:  # the first and longest of overlapping finds
            yield item
            end = item.end


def _stands_alone(text: str, start: int) -> bool:
    # In the pattern, a \\b would keep the search from going by the literal behind it.
    before = text[start - 1 : start] if text[start] != "-" else ""
    return not ((before.isascii() and before.isalnum()) or before == "_")


def _labelled(text: str) -> Iterator[Found]:
    lowered = text.lower()
    if len(lowered) != len(text):  # a few capitals have small letters of two characters
        lowered = "".join(char.lower() if len(char.lower()) == 1 else char for char in text)
    for stem in _STEMS if text.isascii() else _STEMS + _STEMS_BEYOND_ASCII:
        at = lowered.find(stem)
        while at >= 0:
            end = at + len(stem)
            match = _BEHIND_LABEL.match(text, end)
            if match and (stem != "key" or _is_secret_key(lowered, at, match["sign"])):
                value = match["value"].rstrip(".!,")
                if _is_random(value):
                    yield Found(match.start("value"), match.start("value") + len(value), value)
            at = lowered.find(stem, end)


def _is_secret_key(lowered: str, at: int, sign: str) -> bool:
    # "signing key 1988 2D92 ..." gives the fingerprint of a public one.
    label = lowered[max(0, at - 20) : at].rstrip(" _-")
    return label.endswith(_KEYS_OF) and not sign.isspace()


def _is_random(value: str) -> bool:
    digits = sum(char.isdigit() for char in re.sub(r"%[0-9A-F]{2}", "", value))
    mixed = 0 < digits < len(value) and re.search(r"[A-Za-z]", value)
    # "token:FromEmail/ToEmail1/ToEmail2" is a path; base64 has 16 % digits.
    path = "/" in value and digits < 0.1 * len(value) and len(value) != AWS_SECRET
    return bool(mixed) and not path and entropy(value) >= MIN_ENTROPY


def entropy(value: str) -> float:
    """Return Shannon's entropy in bits a character."""
    return -sum(
        count / len(value) * math.log2(count / len(value)) for count in Counter(value).values()
    )
