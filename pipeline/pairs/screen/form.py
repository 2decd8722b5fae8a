"""Rules on the form of one pair: each is a plain function that returns what it found wrong."""

import re
from collections import Counter

from rapidfuzz.distance import Indel

from pipeline.pairs.answer_text import CONTROL_TOKEN
from pipeline.pairs.screen.candidate import Candidate, Finding
from pipeline.pairs.screen.ending import ends
from pipeline.settings import ScreenSettings
from pipeline.text.fences import prose_of
from pipeline.text.function_words import content, function_words
from pipeline.text.language import identify
from pipeline.text.terms import QUESTION, folded, stem, terms, word_count
from pipeline.text.words import UNSPACED, same_text, words

LEAST_LETTERS = 4
"""Characters of a question for each word that it should have: some languages have no articles."""
MARKERS = re.compile(
    r"\{\{\s*\w+\s*\}\}|^##+ *(?:instruction|input|response|output) *:? *$",
    re.IGNORECASE | re.MULTILINE,
)
"""What is left of a prompt wherever it stands: a variable of a template, a heading of Alpaca's."""
LABEL = re.compile(
    r"(?![-*+•] )\W{0,3}(?:question|answer|instruction|response|evidence|context|passage|input"
    r"|output|task|user|assistant|system|q|a)\s?\d{0,2}\s?:",
    re.IGNORECASE,
)
"""A label of a prompt at the start; "- Input: 24 V" is an item of a list."""
LABEL_BELOW = re.compile(
    r"^[*_]{0,3}(?:(?:question|answer|instruction|assistant|q)\s?\d{0,2}\s?:|(?:user|human)\s?:.*\?)",
    re.IGNORECASE | re.MULTILINE,
)
"""A label that begins another pair; a self-instruct task may ask for one ("Answer: ...")."""
PLACEHOLDER = re.compile(r"<[A-Z]+_\d+>")  # personal data that cleaning took out: `<EMAIL_1>`
LEAD_IN = re.compile(r"\bfollowing\b(?=[^\n]*:[ \t]*\n)", re.IGNORECASE)
"""What a response says before its own list: "The page shows the following information:"."""
MIN_LANGUAGE_WORDS = 8  # fewer words are not enough to tell a language
MIN_LANGUAGE_PROBABILITY = 0.65  # probability from which another language is believed (FineWeb)
TWICE = 2  # content words that a question says twice from which it tells what it asks
MAX_ECHO = 0.8  # ROUGE-L F1 between instruction and response from which the response repeats it


def not_parsed(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject an empty side, what is left of a prompt, a lead-in without its list."""
    if not pair.instruction.strip() or not pair.response.strip():
        return Finding("empty", 0, 1)
    for side in (pair.instruction, pair.input, pair.response):
        if token := CONTROL_TOKEN.search(side):
            return Finding("control_token", 1, 0, token.group())
    for side in map(prose_of, (pair.instruction, pair.response)):
        marker = LABEL.match(side) or (LABEL_BELOW.search(side) if pair.grounded else None)
        found = marker or MARKERS.search(side)
        if found and (marker or found.group() not in pair.source):
            return Finding("unparsable", 1, 0, found.group().strip())
    if pair.response.rstrip().endswith(":"):
        return Finding("ends_with_colon", 1, 0)
    if not words(PLACEHOLDER.sub("", pair.response)):
        return Finding("only_placeholders", 0, 1)
    return None


def length(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject texts out of bounds, in words; a task, unlike a chunk, may ask for one word."""
    asked, answered = word_count(pair.instruction), word_count(pair.response)
    least = settings.min_response_words if pair.grounded else 1
    shortest = settings.min_instruction_words
    if asked < shortest and len(pair.instruction) < LEAST_LETTERS * shortest:
        return Finding("instruction_too_short", asked, shortest)
    if asked > settings.max_instruction_words:
        return Finding("instruction_too_long", asked, settings.max_instruction_words)
    if answered < least and not (answered and ends(pair.response)):
        return Finding("response_too_short", answered, least)
    if answered > settings.max_response_words:
        return Finding("response_too_long", answered, settings.max_response_words)
    return None


def several_questions(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject an instruction that asks two things."""
    marks = len(QUESTION.findall(pair.instruction))
    if marks > 1:
        return Finding("several_questions", marks, 1)
    found = pair.words.several.search(folded(pair.instruction))
    return Finding("several_questions", 2, 1, found.group()) if found else None


def question_form(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a grounded instruction that neither asks nor tells to do something."""
    asked = folded(pair.instruction)
    if QUESTION.search(pair.instruction[-8:]) or not pair.words.questions:
        return None
    asking = pair.words.asking.search(asked)
    # In English a question has its mark, and an order begins with its verb.
    if asking and (pair.language != "en" or not asked[: asking.start()].strip()):
        return None
    return Finding("not_a_question", 0, 1)


def language(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a pair in another language than the wanted ones; a task may be to translate."""
    text = f"{pair.instruction}\n{pair.response}" if pair.grounded else pair.instruction
    if not pair.languages or len(text.split()) < MIN_LANGUAGE_WORDS:
        return None
    found = identify(text)
    if found.code not in pair.languages and found.probability >= MIN_LANGUAGE_PROBABILITY:
        return Finding("wrong_language", found.probability, MIN_LANGUAGE_PROBABILITY, found.code)
    return None


def input_is_output(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a task whose answer is its input (Self-Instruct)."""
    same = pair.input.strip() and same_text(pair.input) == same_text(pair.response)
    return Finding("input_is_output", 1, 0) if same else None


def echo(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a response that repeats the instruction, or a grounded one that adds no word."""
    offered = pair.words.choice.search(folded(pair.instruction))
    if pair.grounded and not offered and not pair.words.yes_no.match(folded(pair.response)):
        said = content(pair.response, pair.language) | _digits(pair.response)
        if said <= content(pair.instruction, pair.language) | _digits(pair.instruction):
            return Finding("echoes_instruction", 1.0, MAX_ECHO)
    alike = float(Indel.normalized_similarity(terms(pair.instruction), terms(pair.response)))
    echoes = not pair.grounded and alike > MAX_ECHO
    return Finding("echoes_instruction", alike, MAX_ECHO) if echoes else None


def leading(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a question that says what it asks: "If it lasts a day, how long does it last?"."""
    stems = [
        stem(term, pair.language)
        for term in terms(pair.instruction)
        if content(term, pair.language) and not UNSPACED.match(term)
    ]
    twice = sorted(word for word, count in Counter(stems).items() if count > 1)
    if len(twice) < TWICE:
        return None
    return Finding("leading_question", len(twice), TWICE - 1, " ".join(twice))


def refers_to_text(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject "according to the text": nobody who asks the model will have that text."""
    if pair.input:
        return None  # "Summarise the text" with its text as the input
    for side in (pair.instruction, pair.response):
        side = folded(LEAD_IN.sub("", side))
        found = pair.words.refers.search(side) or function_words("en").refers.search(side)
        # "... from this sentence: The valve opens." brings its text along.
        if found and (pair.grounded or ":" not in side[found.end() :]):
            return Finding("refers_to_text", 1, 0, found.group())
    return None


def refusal(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject a response that declines to answer."""
    found = refuses(pair.response, pair.language, pair.grounded)
    return Finding("refusal", 1, 0, found) if found else None


def refuses(text: str, language: str = "en", grounded: bool = True) -> str:
    """Return the words that decline to answer, or, grounded, say that the text has no answer."""
    known, said = function_words(language), folded(text)
    found = known.declines.search(said) or (known.abstains.search(said) if grounded else None)
    return found.group() if found else ""


def talks_to_model(pair: Candidate, settings: ScreenSettings) -> Finding | None:
    """Reject orders to a model that came in with a document."""
    for side in map(folded, (pair.instruction, pair.input, pair.response)):
        found = pair.words.orders.search(side) or function_words("en").orders.search(side)
        if found:
            return Finding("talks_to_model", 1, 0, found.group())
    return None


def _digits(text: str) -> set[str]:
    return {term for term in terms(text) if any(map(str.isdigit, term))}
