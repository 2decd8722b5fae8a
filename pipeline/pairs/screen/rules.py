"""The screen rules, from which all else is derived: one more is a function and an entry here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pipeline.pairs.screen import claims, ending, form, grounding, novelty
from pipeline.pairs.screen.candidate import Candidate, Finding


@dataclass(frozen=True, slots=True)
class ScreenRule:
    """A rule that a pair must pass, and all that is known of it."""

    function: Callable[..., Finding | None]
    """Gets a ``Candidate`` and the ``ScreenSettings``; with ``compares`` a ``Candidate`` and the
    ``KeptPairs``. Returns what is wrong with the pair, if anything."""
    reasons: Mapping[str, str]  # reason in the ledger -> a line for a reader of the report
    grounded: bool = False  # whether it is for pairs made from a chunk only
    compares: bool = False  # whether it compares a pair with those that passed before
    only: frozenset[str] = frozenset()  # kinds of tasks that it is for; empty: for all
    not_for: frozenset[str] = frozenset()  # kinds of tasks that it is not for

    @property
    def name(self) -> str:
        """Name of the rule: of its function."""
        return self.function.__name__

    def fits(self, pair: Candidate) -> bool:
        """Tell whether it is for pairs of this origin and kind."""
        wanted = not self.only or pair.kind in self.only
        return wanted and pair.kind not in self.not_for and (pair.grounded or not self.grounded)


LABELS = frozenset({"classification"})
"""The response is one of the words that the instruction offers."""
GIVEN = LABELS | {"extraction", "rewriting"}
"""The instruction is the user's, the same in all pairs: they differ by their input."""
FORMS = GIVEN | {"summary", "conversation"}
"""What is asked for need not be a question, nor a sentence of its own."""
ABSTAINING = frozenset({"not_in_documents"})  # the response says that the documents do not say it
FREE = LABELS | ABSTAINING | {"rewriting"}
"""The words of the response need not be those of the chunk."""


def _grounded(function: Callable[..., Finding | None], about: str, **more: Any) -> ScreenRule:
    """Return a rule for pairs made from a chunk; its reason has the name of the function."""
    return ScreenRule(function, {function.__name__: about}, grounded=True, **more)


_RULES = (
    _grounded(grounding.unknown_chunk, "its chunk, or the split of its chunk, is not there"),
    ScreenRule(
        form.not_parsed,
        {
            "empty": "question or answer is empty",
            "control_token": "a control token of a chat template is left in it",
            "unparsable": "a label or a variable of a prompt is left in it",
            "ends_with_colon": "the answer announces a list that does not follow",
            "only_placeholders": "the answer is nothing but placeholders of personal data",
        },
    ),
    ScreenRule(
        form.length,
        {
            "instruction_too_short": "the question is below screen.min_instruction_words",
            "instruction_too_long": "the question is above screen.max_instruction_words",
            "response_too_short": "the answer is below screen.min_response_words",
            "response_too_long": "the answer is above screen.max_response_words",
        },
        not_for=FORMS,
    ),
    _grounded(
        form.several_questions,
        "it asks more than one thing",
        not_for=LABELS | {"rewriting", "conversation"},
    ),
    ScreenRule(
        form.question_form,
        {"not_a_question": "it neither asks nor tells to do something"},
        grounded=True,
        not_for=FORMS,
    ),
    ScreenRule(form.language, {"wrong_language": "it is in a language outside clean.languages"}),
    ScreenRule(
        form.input_is_output, {"input_is_output": "the answer repeats the input of the task"}
    ),
    ScreenRule(
        form.echo,
        {"echoes_instruction": "the answer repeats the question and adds nothing"},
        not_for=LABELS | {"rewriting"},
    ),
    ScreenRule(
        form.leading,
        {"leading_question": "the question says itself what it asks for"},
        grounded=True,
        not_for=LABELS | {"rewriting", "extraction"},
    ),
    ScreenRule(
        form.refers_to_text,
        {"refers_to_text": "it speaks of a text that whoever asks will not have"},
        not_for=frozenset({"rewriting"}),
    ),
    ScreenRule(form.refusal, {"refusal": "the answer declines to answer"}, not_for=ABSTAINING),
    ScreenRule(
        claims.abstains_wrongly,
        {
            "abstains_wrongly": "the answer is that there is none, but the chunk has it",
            "answers_anyway": "it answers what the documents do not say",
        },
        grounded=True,
        only=ABSTAINING,
    ),
    ScreenRule(form.talks_to_model, {"talks_to_model": "it gives orders to a language model"}),
    ScreenRule(
        ending.unfinished,
        {"unfinished": "the answer ends in the middle of a sentence, list, table or code"},
        not_for=LABELS,
    ),
    _grounded(grounding.not_grounded_number, "a number of the answer is not in the chunk"),
    _grounded(grounding.not_grounded_quote, "a quotation in the answer is not in the chunk"),
    _grounded(grounding.not_grounded_name, "a name in the answer is not in the chunk"),
    _grounded(
        grounding.not_grounded,
        "too few words that the answer adds are in the chunk",
        not_for=FREE,
    ),
    ScreenRule(
        claims.contradicts,
        {"contradicts_source": "it negates what the chunk says, or the other way round"},
        grounded=True,
        not_for=FREE,
    ),
    _grounded(
        grounding.off_topic,
        "the question shares no content word with the chunk",
        not_for=FORMS | ABSTAINING,
    ),
    _grounded(grounding.question_does_not_help, "the question makes its answer no likelier"),
    _grounded(
        grounding.in_two_splits, "the sentence it rests on stands in sections of several splits"
    ),
    _grounded(
        claims.unsupported_claim,
        "a judge that agrees with people finds a claim without support",
        not_for=ABSTAINING,
    ),
    ScreenRule(
        novelty.conflicting_answers,
        {"conflicting_answers": "another pair answers the same question differently"},
        compares=True,
    ),
    _grounded(
        novelty.near_duplicate_question,
        "nearly the same is asked about the same document",
        not_for=GIVEN,
        compares=True,
    ),
    ScreenRule(
        novelty.low_novelty,
        {"low_novelty": "a seed task or another pair is nearly the same"},
        not_for=GIVEN,
        compares=True,
    ),
)
SCREEN_RULES = {rule.name: rule for rule in _RULES}
"""Name -> rule, in the order in which they judge: the first finding is the reason."""
SCREEN_REASONS = {
    reason: line for rule in SCREEN_RULES.values() for reason, line in rule.reasons.items()
}
"""Reason -> line, of all rules."""


def first_finding(context: object, pair: Candidate, *, compares: bool) -> Finding | None:
    """Return the first finding; ``context``: the settings, or the kept pairs for what compares."""
    fitting = (rule for rule in _RULES if rule.compares == compares and rule.fits(pair))
    return next(filter(None, (rule.function(pair, context) for rule in fitting)), None)
