r"""Legacy encodings, told apart by what the text then says.

Each encoding is tried, and the text that it gives is judged twice: by its letters (they belong to
the alphabet of its language, and signs do not stand inside words) and by how surely its language
is known. Frequencies of bytes, as charset-normalizer 3.5 counts them, read Polish of Windows-1250
as Windows-1252, Japanese as Korean and ``5 \xb0C`` as Big5.
"""

# ruff: noqa: RUF001  (the letters and signs are what is asked for)

import re
import unicodedata
from collections import Counter

from pipeline.text.language import identify

ENCODINGS = (
    *("cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258"),
    *("iso8859_2", "iso8859_5", "iso8859_7", "iso8859_9", "iso8859_15", "iso8859_16"),
    *("koi8_r", "koi8_u", "cp850", "cp852", "cp866", "cp437", "mac_roman"),
    *("cp932", "euc_jp", "gb18030", "big5", "cp949", "cp874"),
)
"""Those that offices, mails and the web wrote in; of two that fit alike the first is taken."""
LEAST = 0.6  # share of fitting signs times probability of the language that is believed
CLOSE = 0.01  # what an encoding must be better by than those before it in the list
WESTERN = "cp1252"  # taken where too little is said to tell the language, if its signs fit
MOSTLY_ASCII = 0.2  # and up to this share of other bytes: German 2-3 %, French 4 %, Cyrillic 80 %
FEW = 2  # such bytes, of a text of a few words
LOOKED_AT = 20_000  # characters that are judged; all bytes have to decode
_FOREIGN = re.compile(r"[^\0-\x7f]")
_CONTROL = re.compile(r"[\0-\x08\x0e-\x1a\x1c-\x1f\x7f-\x9f\ue000-\uf8ff]")
_TYPOGRAPHY = frozenset("\u00a0\u00ad«»‘’‚“”„…–—•·°§©®™€£¥²³µ×÷±½¼¾¡¿ªº‰†№")
_WITHIN_WORDS = frozenset("\u00ad’·")
_ALPHABETS = {
    "ca": "àçèéíïòóúü", "cs": "áčďéěíňóřšťúůýž", "da": "æøåé", "de": "äöüß", "en": "éèêëïöüñçàáíó",
    "es": "áéíñóúü", "et": "äöõüšž", "fi": "äöåšž", "fr": "àâæçèéêëîïôœùûüÿ", "hr": "čćđšž",
    "hu": "áéíóöőúüű", "is": "áðéíóúýþæö", "it": "àèéìîòóùú", "lt": "ąčęėįšųūž", "nb": "æøåéò",
    "lv": "āčēģīķļņšūž", "nl": "ëïéèöüáó", "nn": "æøåéò", "no": "æøåéò", "pl": "ąćęłńóśźż",
    "pt": "àáâãçéêíóôõúü", "ro": "ăâîșțşţ", "sk": "áäčďéíĺľňóôŕšťúýž", "sl": "čšžćđ", "sv": "äöåé",
    "tr": "çğıi̇öşüâîû",
}  # fmt: skip
"""Letters beyond ASCII, of languages in Latin script; of others all Latin letters fit."""
_SCRIPTS = {
    "CYRILLIC": "be bg kk ky mk mn ru sr tg tt uk", "GREEK": "el", "HEBREW": "he yi",
    "ARABIC": "ar fa ps ug ur", "THAI": "th", "HANGUL": "ko", "CJK": "ja wuu yue zh",
    "HIRAGANA": "ja", "KATAKANA": "ja", "FULLWIDTH": "ja ko wuu yue zh",
    "IDEOGRAPHIC": "ja ko wuu yue zh",
}  # fmt: skip
"""First word of the Unicode names of signs, and the languages that are written with them."""
_WIDE = frozenset(_SCRIPTS["FULLWIDTH"].split())


def guess(data: bytes) -> str | None:
    """Return the text of a file in the likeliest legacy encoding, or None when none fits."""
    best, best_text, western = 0.0, None, None
    for encoding in ENCODINGS:
        try:
            text = data.decode(encoding)
        except UnicodeDecodeError:
            continue
        share, probability = _fit(text[:LOOKED_AT])
        if share * probability > best + CLOSE:
            best, best_text = share * probability, text
        if encoding == WESTERN and share > 1 - CLOSE:
            western = text
    if best >= LEAST:
        return best_text
    few = sum(byte > 127 for byte in data) <= max(FEW, MOSTLY_ASCII * len(data))
    return western if few else None


def _fit(text: str) -> tuple[float, float]:
    """Return the share of signs beyond ASCII that fit the language, and its probability."""
    if _CONTROL.search(text):
        return 0.0, 0.0
    language, probability = identify(text)
    signs = Counter(
        (text[at.start() - 1 : at.start()], at[0], text[at.end() : at.end() + 1])
        for at in _FOREIGN.finditer(text)
    )
    fitting = sum(count for sign, count in signs.items() if _fits(*sign, language))
    return fitting / max(1, signs.total()), probability


def _fits(before: str, sign: str, after: str, language: str) -> bool:
    if sign.isalpha() or unicodedata.category(sign).startswith("M"):
        if sign.isupper() and before.islower():
            return False
        script = unicodedata.name(sign, "")
        languages = _SCRIPTS.get(re.split("[ -]", script)[0], "").split()
        if languages or not script.startswith(("LATIN", "MODIFIER", "COMBINING")):
            within = any(next_to.isascii() and next_to.isalpha() for next_to in (before, after))
            return language in languages and (language in _WIDE or not within)
        return language not in _ALPHABETS or sign.lower() in _ALPHABETS[language]
    if sign in _TYPOGRAPHY:
        return sign in _WITHIN_WORDS or not (before.isalpha() and after.isalpha())
    return language in _WIDE and unicodedata.east_asian_width(sign) in "WFA"
