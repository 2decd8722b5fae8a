"""First words of questions about a sentence, by rule.

A model of 135M parameters left alone asks "Which device or feature is this?"; given "How long
does the X-20 need" it ends the question well. So its questions are begun for it: the subject is
taken from the sentence, the question word from what the rest tells (a duration, a count, a place,
a condition). The rules know English; other sentences get plain question words.
"""

import re
from typing import NamedTuple

from pipeline.pairs.weak_english import words as english

AUXILIARY = re.compile(
    r"^(?P<subject>(?:[^\s,;:]+ ){1,9}?)(?P<verb>is|are|was|were|can|cannot|must|should|may|will|"
    r"has|have) (?P<rest>.+)$"
)
RELATIVE = re.compile(
    r"\b(?:that|which|who|whose|when|if|while|where|because)\b|\band $", re.IGNORECASE
)  # in the subject, these mean that the verb found belongs to a clause inside it
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
)  # what follows a verb that has no object
SECOND_VERB = re.compile(r",? (?:and|but|or) (?:\w+ly )?\w+s\b|,")  # and raises an alarm
THING = re.compile(
    r"^(?:a|an|the|one|its|their|about|above|below|up to|at (?:least|most)|between|from|only|-)\b"
    r"|^[-+]?\d|^[A-Z\"]"
)  # what follows ``is`` where it says what something is, not what is done with it
DONE = re.compile(
    r"^(?P<done>(?:\w+ly )?(?:[a-z-]+(?:ed|en)|"
    + "|".join(sorted(english.PARTICIPLES | english.ADJECTIVES))
    + ")"
    r"(?: (?:off|on|out|up|down|back)(?= (?:when|after|before|by|if|at|and|for|in|under)\b))?)"
    r"(?=\W|$)"
)  # a participle or adjective, with its adverb and its particle (``switched off``)
YES_OR_NO = ("Is ", "Are ", "Was ", "Were ", "Can ", "Must ", "Should ", "May ", "Will ")
PREPOSITION = re.compile(r"^(?:to|on|of|from|for|with)\b")
PLAIN = ("What", "How", "Which")
ENDINGS = (
    *(("ies", "y", "does"), ("es", "", "does"), ("s", "", "does")),
    *(("ied", "y", "did"), ("ed", "", "did"), ("d", "", "did")),
)  # of a verb, what stands there in its base form, and the auxiliary of a question with it


class Stem(NamedTuple):
    """The beginning of a question."""

    text: str
    complete: bool  # whether it is a question already, but for the question mark


def stems(sentence: str, names: frozenset[str], limit: int) -> list[Stem]:
    """Return at most ``limit`` beginnings of questions that the sentence may answer, best first.

    The sentence is declarative and ends with a full stop; ``names`` are words known to be proper
    names, which keep their capital inside a question.
    """
    match = AUXILIARY.match(sentence)
    if match and not RELATIVE.search(match["subject"]) and not _has_verb(match["subject"]):
        subject = _inside(match["subject"].strip(), names)
        found = _with_auxiliary(subject, match["verb"], match["rest"].rstrip("."))
    else:
        found = _with_verb(sentence.rstrip("."), names)
    condition = CONDITION.search(sentence)
    if condition and condition.start() > 0:
        word = "if" if condition["word"].lower() == "if" else "when"
        found.append(f"What happens {word} {_inside(condition['clause'].strip(), names)}")
    begun = [Stem(text, not text.startswith(YES_OR_NO)) for text in dict.fromkeys(found)]
    return [*begun, *(Stem(text, False) for text in PLAIN)][:limit]


def _with_auxiliary(subject: str, verb: str, rest: str) -> list[str]:
    """``The factory address is 1.`` -> ``What is the factory address``."""
    first, _, others = rest.partition(" ")
    if first in english.ADVERBS:
        rest = others
    word, _, after = rest.partition(" ")
    if verb in ("has", "have"):
        auxiliary = "does" if verb == "has" else "do"
        noun = re.match(r"an? ([a-z][a-z-]*(?: [a-z-]+)?) of (?:about |up to )?\d", rest)
        return [f"What {noun[1] + ' ' if noun else ''}{auxiliary} {subject} have"]
    if word == "not" or verb == "cannot":
        return [f"{verb.removesuffix('not').capitalize()} {subject}"]
    if verb in ("is", "are", "was", "were"):
        return _with_participle(rest, f"{verb} {subject}")
    if word == "be":
        return _with_participle(after, f"{verb} {subject} be")
    return _asked(after, verb, subject, word)


def _with_participle(rest: str, asked: str) -> list[str]:
    """``mounted at half crop height`` -> ``Where should the X-20 be mounted``."""
    if THING.match(rest):
        return [f"What {asked}"]
    match = DONE.match(rest)
    if not match:
        place = _question_word(rest, "", "")
        return [f"{place} {asked}"] if place else []
    done, tail = match["done"], rest[match.end() :].lstrip()
    if tail.startswith("to ") or (done in english.ADJECTIVES and PREPOSITION.match(tail)):
        return [f"What {asked} {done} {tail.split(' ', 1)[0]}"]
    return [f"{_question_word(tail, done, 'How')} {asked} {done}"]


def _with_verb(sentence: str, names: frozenset[str]) -> list[str]:
    """``The X-200 stores up to 40 programs`` -> ``How many programs does the X-200 store``."""
    words = sentence.split()
    for place in range(1, min(len(words) - 1, 12)):
        verb, auxiliary = _verb_at(words, place)
        if not verb or (auxiliary == "does" and _is_noun(verb, words, place)):
            continue
        before = place - 1 if words[place - 1] in english.ADVERBS else place
        subject = _inside(" ".join(words[:before]), names)
        if "," in subject or RELATIVE.search(subject) or not subject:
            return []
        rest = " ".join(words[place + 1 :])
        asked = _asked(rest, auxiliary, subject, verb)
        if not BARE.match(rest) and verb not in english.PREPOSITIONAL:
            asked.append(f"What {auxiliary} {subject} {verb}")
        return asked
    return []


def _is_noun(verb: str, words: list[str], place: int) -> bool:
    """Whether what looks like a verb is a noun before the verb (``six blocks need``)."""
    if words[place - 1] in english.COUNTS:
        return True
    following, _ = _verb_at(words, place + 1)
    verb_follows = words[place + 1] in english.AUXILIARIES or (
        following and following not in english.NOUNS_TOO
    )
    return verb in english.NOUNS_TOO and bool(verb_follows)


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
    if words[place - 1].endswith("s") and word in english.VERBS and word not in english.ADVERBS:
        return word, "do"
    for ending, replacement, auxiliary in ENDINGS:
        base = word.removesuffix(ending) + replacement
        if word.endswith(ending) and base in english.VERBS:
            return base, auxiliary
    return "", ""


def _asked(rest: str, auxiliary: str, subject: str, verb: str) -> list[str]:
    """Ask for a count, then for time, reason or frequency with the object, or for the object."""
    asked = f"{auxiliary} {subject} {verb}"
    count, preposition = COUNT.match(rest), PREPOSITION.match(rest)
    found = []
    if count and not UNITS.match(count["what"].split()[0]):
        found.append(f"How many {count['what']} {asked}")
    if verb in english.PREPOSITIONAL and preposition:
        return [*found, f"What {asked} {preposition[0]}"]
    without_object = "When" if verb in english.MOMENTARY else "How"
    word = _question_word(rest, verb, without_object if BARE.match(rest) else "What")
    cut = {"How often": OFTEN, "Why": REASON, "When": CONDITION}.get(word)
    end = cut.search(rest + ".") if cut else None
    kept = SECOND_VERB.split(rest[: end.start()])[0].rstrip(" ,") if end else ""
    return [*found, f"{word} {asked} {kept}".rstrip()]


def _question_word(rest: str, verb: str, otherwise: str) -> str:
    if MEANS.match(rest):
        return "How"
    if FOR_A_TIME.match(rest):
        return "How long" if rest.startswith("for") else "How quickly"
    if rest.startswith(("after ", "before ", "until ")):
        return "When"
    if OFTEN.search(rest):
        return "How often"
    if LONG.match(rest) and (verb in english.LASTING or verb in english.ADJECTIVES):
        return "How long"
    if verb not in ("mean", "indicate"):
        if REASON.search(rest):
            return "Why"
        if CONDITION.search(rest + "."):
            return "When"
    return "Where" if PLACE.match(rest) else otherwise


def _inside(phrase: str, names: frozenset[str]) -> str:
    """Return a phrase without the capital of a sentence, unless its first word is a name."""
    first, _, after = phrase.partition(" ")
    capitalised = first[:1].isupper() and first[1:].islower()
    two_words = after[:1].isupper() or after[:1].isdigit()  # Error E26, Acme Cloud
    if first not in english.ARTICLES and (first in names or not capitalised or two_words):
        return phrase
    return first.lower() + phrase[len(first) :]
