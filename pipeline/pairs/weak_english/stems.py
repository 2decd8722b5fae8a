"""First words of questions about a sentence, by rule.

A model of 135M parameters left alone asks "Which device or feature is this?"; given "How long
does the X-20 need" it ends the question well. So its questions are begun for it: the subject is
taken from the sentence, the question word from what the rest tells (a duration, a count, a place,
a condition). The rules know English; other sentences get plain question words.
"""

import re
from typing import NamedTuple

from pipeline.pairs.weak_english.words import (
    ADJECTIVES,
    ADVERBS,
    ARTICLES,
    AUXILIARIES,
    COUNTS,
    LASTING,
    MOMENTARY,
    NOUNS_TOO,
    PARTICIPLES,
    PREPOSITIONAL,
    VERBS,
)

AUXILIARY = re.compile(
    r"^(?P<subject>(?:[^\s,;:]+ ){1,9}?)(?P<verb>is|are|was|were|can|cannot|must|should|may|will|"
    r"has|have) (?P<rest>.+)$"
)
RELATIVE = re.compile(
    r"\b(?:that|which|who|whose|when|if|while|where|because)\b|\band $", re.IGNORECASE
)
"""In the subject, these mean that the verb found belongs to a clause inside it."""


TIME = r"(?:milli)?seconds?|minutes?|hours?|days?|weeks?|months?|years?"
OFTEN = re.compile(rf"\b(?:every (?:\d+ |other )?(?:{TIME}|night|morning)|once (?:a|per)|daily)\b")
LONG = re.compile(
    rf"^(?:\S+ ){{0,2}}?(?:for |within )?(?:about |up to |at least |another )?\d+ (?:{TIME})\b"
)
FOR_A_TIME = re.compile(rf"^(?:for|within) (?:about |up to |at least )?\d+ (?:{TIME})\b")
COUNT = re.compile(
    r"^(?:up to |at least |at most |about |only )?\d[\d,]* (?P<what>(?:[a-z]+ ){0,2}?[a-z]+s)\b"
)
UNITS = re.compile(rf"^(?:{TIME}|percent|litres?|met(?:re|er)s?|degrees?|volts?|points?)$")
CONDITION = re.compile(
    r"\b(?P<word>when|if|as soon as) (?P<clause>[^;]+?)(?=,\s|;|\.$)", re.IGNORECASE
)
REASON = re.compile(r"\b(?:because|so that|in order to|to avoid|to prevent)\b")
PLACE = re.compile(r"^(?:in|on|at|under|behind|below|above|next to|between|near) (?!\d|least|most)")
MEANS = re.compile(r"^(?:with|by|via|through|using) ")
BARE = re.compile(
    r"^(?:(?:after|at) (?:(?!most|least)[a-z]|\d)|again|automatically|before|below|above|by|"
    r"for|from|if|in|into|on|once|over|slowly|so|to|twice|under|until|upright|when|while|with|"
    r"within|\d+ \w+ (?:before|after|later))\b"
)
"""What follows a verb that has no object."""

SECOND_VERB = re.compile(r",? (?:and|but|or) (?:\w+ly )?\w+s\b|,")
"""Where a second statement begins (``closes the valve and raises an alarm``)."""

THING = re.compile(
    r"^(?:a|an|the|one|its|their|about|above|below|up to|at (?:least|most)|between|from|only|-)\b"
    r"|^[-+]?\d|^[A-Z\"]"
)
"""What follows ``is`` where it says what something is, not what is done with it."""
DONE = re.compile(
    r"^(?P<done>(?:\w+ly )?(?:[a-z-]+(?:ed|en)|" + "|".join(sorted(PARTICIPLES | ADJECTIVES)) + ")"
    r"(?: (?:off|on|out|up|down|back)(?= (?:when|after|before|by|if|at|and|for|in|under)\b))?)"
    r"(?=\W|$)"
)
"""A participle or adjective, with its adverb and its particle (``switched off``)."""
YES_OR_NO = ("Is ", "Are ", "Was ", "Were ", "Can ", "Must ", "Should ", "May ", "Will ")
PREPOSITION = re.compile(r"^(?:to|on|of|from|for|with)\b")
PLAIN = ("What", "How", "Which")


class Stem(NamedTuple):
    """The beginning of a question."""

    text: str
    complete: bool
    """Whether it is a question already, but for the question mark."""


def stems(sentence: str, names: frozenset[str], limit: int) -> list[Stem]:
    """Return at most ``limit`` beginnings of questions that the sentence may answer, best first.

    Args:
        sentence: a declarative sentence that ends with a full stop.
        names: words known to be proper names, which keep their capital inside a question.
        limit: how many are wanted.
    """
    found: list[str] = []
    match = AUXILIARY.match(sentence)
    if match and not RELATIVE.search(match["subject"]) and not _has_verb(match["subject"]):
        subject = _inside(match["subject"].strip(), names)
        found += _with_auxiliary(subject, match["verb"], match["rest"].rstrip("."))
    else:
        found += _with_verb(sentence.rstrip("."), names)
    condition = CONDITION.search(sentence)
    if condition and condition.start() > 0:
        word = "if" if condition["word"].lower() == "if" else "when"
        found.append(f"What happens {word} {_inside(condition['clause'].strip(), names)}")
    begun = [Stem(text, not text.startswith(YES_OR_NO)) for text in dict.fromkeys(found)]
    return [*begun, *(Stem(text, False) for text in PLAIN)][:limit]


def _with_auxiliary(subject: str, verb: str, rest: str) -> list[str]:
    """``The factory address is 1.`` -> ``What is the factory address``."""
    first, _, others = rest.partition(" ")
    if first in ADVERBS:
        rest = others
    word, _, after = rest.partition(" ")
    if verb in ("has", "have"):
        auxiliary = "does" if verb == "has" else "do"
        noun = re.match(r"an? ([a-z][a-z-]*(?: [a-z-]+)?) of (?:about |up to )?\d", rest)
        return [f"What {noun[1] + ' ' if noun else ''}{auxiliary} {subject} have"]
    if word == "not" or verb == "cannot":
        start = "Can" if verb == "cannot" else verb.capitalize()
        return [f"{start} {subject}"]
    if verb in ("is", "are", "was", "were"):
        if THING.match(rest):
            return [f"What {verb} {subject}"]
        return _with_participle(rest, f"{verb} {subject}")
    if word == "be":
        if THING.match(after):
            return [f"What {verb} {subject} be"]
        return _with_participle(after, f"{verb} {subject} be")
    return [*_counted(after, verb, subject, word), _asked(after, verb, subject, word)]


def _with_participle(rest: str, asked: str) -> list[str]:
    """``mounted at half crop height`` -> ``Where should the X-20 be mounted``."""
    match = DONE.match(rest)
    if not match:
        place = _question_word(rest, "", "")
        return [f"{place} {asked}"] if place else []
    done, tail = match["done"], rest[match.end() :].lstrip()
    if tail.startswith("to ") or (done in ADJECTIVES and PREPOSITION.match(tail)):
        return [f"What {asked} {done} {tail.split(' ', 1)[0]}"]
    return [f"{_question_word(tail, done, 'How')} {asked} {done}"]


def _with_verb(sentence: str, names: frozenset[str]) -> list[str]:
    """``The X-200 stores up to 40 programs`` -> ``How many programs does the X-200 store``."""
    words = sentence.split()
    for place in range(1, min(len(words) - 1, 12)):
        verb, auxiliary = _verb_at(words, place)
        if not verb or (auxiliary == "does" and _is_noun(verb, words, place)):
            continue
        before = [*words[:place]]
        if before[-1] in ADVERBS:
            before.pop()
        subject = _inside(" ".join(before), names)
        if "," in subject or RELATIVE.search(subject) or not subject:
            return []
        rest = " ".join(words[place + 1 :])
        asked = _asked(rest, auxiliary, subject, verb)
        what = f"What {auxiliary} {subject} {verb}"
        more = [] if BARE.match(rest) or verb in PREPOSITIONAL else [what]
        return [*_counted(rest, auxiliary, subject, verb), asked, *more]
    return []


def _is_noun(verb: str, words: list[str], place: int) -> bool:
    """Whether what looks like a verb is a noun before the verb (``six blocks need``)."""
    before, following = words[place - 1], words[place + 1]
    if before in COUNTS:
        return True
    next_verb, _ = _verb_at(words, place + 1)
    return verb in NOUNS_TOO and (
        following in AUXILIARIES or bool(next_verb and next_verb not in NOUNS_TOO)
    )


def _has_verb(subject: str) -> bool:
    """Whether a subject with ``and`` is two statements (``The pump stops and``)."""
    words = subject.split()
    return "and" in words and any(
        _verb_at(words, place)[0] for place in range(1, words.index("and"))
    )


def _verb_at(words: list[str], place: int) -> tuple[str, str]:
    """Return base form and auxiliary of the verb at a place, or two empty strings."""
    if place >= len(words):
        return "", ""
    word = words[place]
    if words[place - 1].endswith("s") and word in VERBS and word not in ADVERBS:
        return word, "do"
    for ending, replacement in (("ies", "y"), ("es", ""), ("s", "")):
        base = word.removesuffix(ending) + replacement
        if word.endswith(ending) and base in VERBS:
            return base, "does"
    for ending, replacement in (("ied", "y"), ("ed", ""), ("d", "")):
        base = word.removesuffix(ending) + replacement
        if word.endswith(ending) and base in VERBS:
            return base, "did"
    return "", ""


def _asked(rest: str, auxiliary: str, subject: str, verb: str) -> str:
    """Ask for time, reason or frequency with the object, else for the object itself."""
    otherwise = "What"
    if BARE.match(rest):
        otherwise = "When" if verb in MOMENTARY else "How"
    preposition = PREPOSITION.match(rest)
    if verb in PREPOSITIONAL and preposition:
        return f"What {auxiliary} {subject} {verb} {preposition[0]}"
    word = _question_word(rest, verb, otherwise)
    cut = {"How often": OFTEN, "Why": REASON, "When": CONDITION}.get(word)
    found = cut.search(rest + ".") if cut else None
    kept = SECOND_VERB.split(rest[: found.start()])[0].rstrip(" ,") if found else ""
    return f"{word} {auxiliary} {subject} {verb} {kept}".rstrip()


def _question_word(rest: str, verb: str, otherwise: str) -> str:
    """Choose the question word by what the rest of the sentence tells."""
    if MEANS.match(rest):
        return "How"
    if FOR_A_TIME.match(rest):
        return "How long" if rest.startswith("for") else "How quickly"
    if rest.startswith(("after ", "before ", "until ")):
        return "When"
    if OFTEN.search(rest):
        return "How often"
    if LONG.match(rest) and (verb in LASTING or verb in ADJECTIVES):
        return "How long"
    if verb not in ("mean", "indicate") and REASON.search(rest):
        return "Why"
    if verb not in ("mean", "indicate") and CONDITION.search(rest + "."):
        return "When"
    if PLACE.match(rest):
        return "Where"
    return otherwise


def _counted(rest: str, auxiliary: str, subject: str, verb: str) -> list[str]:
    match = COUNT.match(rest)
    if not match or UNITS.match(match["what"].split()[0]):
        return []
    return [f"How many {match['what']} {auxiliary} {subject} {verb}"]


def _inside(phrase: str, names: frozenset[str]) -> str:
    """Return a phrase without the capital of a sentence, unless its first word is a name."""
    first, _, after = phrase.partition(" ")
    if first not in ARTICLES:
        if first in names or not (first[:1].isupper() and first[1:].islower()):
            return phrase
        if after[:1].isupper() or after[:1].isdigit():
            return phrase  # Error E26, Acme Cloud: a name of two words
    return first.lower() + phrase[len(first) :]
