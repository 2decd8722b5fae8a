"""Terms: the words of a text in any script, and their stems, to compare what two texts say."""

import re
import unicodedata
from functools import lru_cache

from pipeline.text.words import UNSPACED, WORD

_ARTICLE = re.compile("^[\u0648\u0641]?[\u0628\u0643\u0644]?(?:\u0627\u0644|\u0644\u0644)(?=..)")
"""Arabic: article, with a conjunction or preposition before it."""
_PARTICLE = re.compile(
    "(?<=.)(?:\uc785\ub2c8\ub2e4|\uc774\ub2e4|[\uc744\ub97c\uc774\uac00\uc740\ub294\uc5d0\uc758\ub3c4\ub85c\uc640\uacfc\ub9cc])$"
)
"""Korean: a particle behind a noun."""
_UNIT = re.compile(r"(?<![\w.-])\d+(?:[.,:]\d+){0,8}(?=[^\W\d_])|[a-z\d](?=[\uac00-\ud7a3])")
"""A number that letters follow: ``5ms``; not ``A17``. And what a Korean particle follows."""
_HANGUL = re.compile("[\uac00-\ud7a3]")
FEW_SPACES = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao, Burmese, Khmer
    "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3"  # Japanese, Chinese; Korean has some
)
"""For a character class: scripts without a space after each word."""
_SIGNS = re.compile(f"[{FEW_SPACES}]")
"""Three count as two words."""
QUESTION = re.compile(r"[?\uff1f\u061f\u037e]+|\u304b(?:\u3002|$)")
"""Question marks, and how a Japanese question ends without one."""


def word_count(text: str) -> int:
    """Return how many words a text has, or would have in a language with spaces."""
    return max(len(text.split()), len(_SIGNS.findall(text)) * 2 // 3)


@lru_cache(8192)
def folded(text: str) -> str:
    """Return a text in lower case, without accents and vowel signs, with ASCII digits."""
    # Vowel signs of Hindi, Bengali or Tamil would else end a word.
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = (
        str(unicodedata.decimal(sign, sign))
        for sign in decomposed
        if not unicodedata.category(sign).startswith("M")
    )
    return unicodedata.normalize("NFC", "".join(kept))


def terms(text: str) -> list[str]:
    """Return the words of a text, folded; a sign of Kana or Han and a unit are a word each."""
    return WORD.findall(_UNIT.sub(r"\g<0> ", UNSPACED.sub(r" \g<0> ", folded(text))))


def stem(word: str, language: str = "en") -> str:
    """Return a word without its commonest endings, so that its forms are one.

    Both sides of a comparison go through it, so that it need not give real words. English has
    rules; of words of other languages the beginning is kept, five letters at most.
    """
    if language != "en":
        if not word.isalpha():
            return word
        if _HANGUL.match(word):
            return _PARTICLE.sub("", word)[:2]
        word = _ARTICLE.sub("", word)
        return word[: min(5, max(3, len(word) - 1))]
    for ending in ("ing", "ies", "ied", "es", "ed", "ly", "s", "e", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and word.isalpha():
            word = word.removesuffix(ending)
            break
    # "stopped" and "stop"
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] and word.isalpha() else word
