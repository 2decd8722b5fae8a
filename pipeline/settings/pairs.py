"""Settings of pairs: who writes them and for what use, what they must pass, what people see."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from pipeline.settings.base import Extra, Section, Share


class TeacherSettings(Section):
    """Who writes synthetic pairs."""

    kind: Literal["embedded", "local", "openai"] = "embedded"
    """``embedded``: the base model in this process; ``local``: another model in this process;
    ``openai``: an OpenAI-compatible endpoint."""
    model: str = ""
    """Name of the model at the endpoint; of a local one its folder or Hugging Face id."""
    base_url: str = "http://127.0.0.1:8000/v1"
    """Nothing is sent anywhere unless kind is ``openai``."""
    strength: Literal["auto", "weak", "strong"] = "auto"
    """``weak``: answers are taken from the text; ``strong``: the teacher writes them.
    ``auto``: the embedded model is weak, any other one strong."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 64
    """Requests at once, at most: from eight, more while that is faster, times 0.75 on each 429."""
    timeout_seconds: Annotated[float, Field(gt=0)] = 120
    max_retries: Annotated[int, Field(ge=0, le=10)] = 3
    """Per request: delay doubles from 1 s, jitter 0.2, at most 60 s."""
    thinking_tokens: Annotated[int, Field(ge=0)] = 2048
    """Room for thoughts, added to each request once a reply shows that the model thinks."""
    extra: Extra = Field(default_factory=dict)
    """Further fields of each request, such as reasoning_effort or chat_template_kwargs."""

    @model_validator(mode="after")
    def _endpoint_needs_a_model(self) -> "TeacherSettings":
        if self.kind != "embedded" and not self.model:
            raise ValueError("teacher.model is empty: name the model")
        return self


class GenerateSettings(Section):
    """Synthetic pairs."""

    target: Annotated[int, Field(ge=0)] = 300
    """Grounded pairs that pass the screens; then no further chunk is asked. Each document is asked
    before one is asked again: of more documents each gives fewer pairs. 0: all chunks."""
    tokens_per_pair: Annotated[int, Field(ge=10)] = 110
    """One pair is asked for per so many tokens of a document, spread over its chunks; what a
    chunk is too short for is carried to the next. At least one a document."""
    max_pairs_per_chunk: Annotated[int, Field(ge=1)] = 3
    questions_per_answer: Annotated[int, Field(ge=1, le=16)] = 3
    """Weak teacher: sampled questions for an evidence sentence, of which the best is kept."""
    kinds: dict[str, Annotated[float, Field(ge=0)]] = Field(
        default_factory=lambda: {
            "fact": 5.0,
            "how_to": 2.0,
            "comparison": 1.0,
            "summary": 1.0,
            "conversation": 1.0,
            "not_in_documents": 1.0,
            "extraction": 2.0,
            "classification": 2.0,
            "rewriting": 2.0,
        }
    )
    """Kind of task -> its share of the pairs that a strong teacher is asked for, of any sum; a weak
    one finds questions to facts alone. The last three count once [task] has their instruction."""
    evolve: Share = 0.2
    """Share of the questions of facts and of how-tos that a strong teacher makes harder, narrower
    or rarer before it answers them (Evol-Instruct, Xu et al. 2023)."""
    self_instruct_tasks: Annotated[int, Field(ge=0)] = 8
    """New tasks asked of the teacher from the seed tasks; 0 turns self-instruct off."""
    instances: Annotated[int, Field(ge=1, le=8)] = 2
    """Instances of each task that a strong teacher adds: inputs with their answers."""
    in_context_tasks: Annotated[int, Field(ge=1, le=32)] = 8
    """Tasks shown in the prompt of a new one, a quarter of them the teacher's own: 6 + 2."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    """Self-Instruct, Wang et al. 2022."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    max_answer_tokens: Annotated[int, Field(ge=8)] = 256
    """About 150 words of prose, or twelve steps; only tokens that are written are paid for."""
    pilot_chunks: Annotated[int, Field(ge=0)] = 5
    """Chunks asked first; a yield of 0 stops before the money is spent."""
    batch_size: Annotated[int, Field(ge=1)] = 24
    """Replies that a model in this process makes at once."""
    seed: int = 13


class ScreenSettings(Section):
    """Rules a pair must pass."""

    min_response_words: Annotated[int, Field(ge=1)] = 3
    max_response_words: Annotated[int, Field(ge=1)] = 150
    min_instruction_words: Annotated[int, Field(ge=1)] = 4
    max_instruction_words: Annotated[int, Field(ge=1)] = 60
    max_rouge_l: Share = 0.7
    """Novelty: ROUGE-L F1 of the instruction against seeds and kept pairs (Self-Instruct)."""
    max_question_similarity: Share = 0.85
    """Near-duplicate questions within one document: token-set similarity."""
    min_content_recall: Share = 0.6
    """Share of the response's content words that occur in the chunk."""
    min_score: float = 0.0
    """Weak teacher: the question must make the answer likelier by more than this (nats a token)."""


class ReviewSettings(Section):
    """What people see, and what training may use."""

    require: Literal["none", "sampled", "all"] = "none"
    """``none``: train on unreviewed pairs; ``sampled``: only once a sample of the batch passed;
    ``all``: only accepted or edited pairs. The test set always needs an accept."""
    trust_self_instruct: Literal["auto"] | bool = "auto"
    """Train on self-instruct pairs, which have no source, without an accept. ``auto``: of a strong
    teacher, which is shown each answer once more and has to stand by it."""
    sample_size: Annotated[int, Field(ge=1)] = 60
    """Pairs queued from train and validation: 59 clean ones bound the error below 5 %."""
    max_error: Share = 0.08
    """``sampled``: share of rejected pairs at which a batch is bad (SPRT p1)."""
    good_error: Share = 0.02
    """``sampled``: share of rejected pairs of a good batch (SPRT p0)."""
    fix_size: Annotated[int, Field(ge=0)] = 20
    """Dropped pairs queued: they tell how often screens are right; an accept takes them back."""
    overlap: Share = 0.1
    """Share of the pairs that two people are asked about, once two have decided on anything."""
    gold: Share = 0.05
    """Share of the queue whose verdict is known: rows of ``paths.gold``, and pairs on which two
    people agreed. The answers are about the reviewer; nothing is trained on them."""
    min_gold_accuracy: Share = 0.0
    """Decisions of a reviewer who is right on fewer gold items (of five or more) are held back and
    the pairs asked again; 0: never."""
    adjudicator: str = ""
    """The reviewer whose word settles a disagreement; empty: a third person makes the majority."""
    seed: int = 7

    @model_validator(mode="after")
    def _errors_are_apart(self) -> "ReviewSettings":
        if not 0 < self.good_error < self.max_error < 1:
            raise ValueError("review.good_error must be above 0 and below review.max_error")
        return self


class TaskSettings(Section):
    """The brief: what the assistant is for, who asks it, how it answers."""

    model_config = ConfigDict(str_strip_whitespace=True)

    about: str = ""
    """What it is for, as in "It answers questions of our service technicians about pump P1". The
    teacher and the judge are told, so that they write and judge for that use."""
    audience: str = ""
    """Who asks, and what they know already."""
    rules: str = ""
    """Tone and rules of its answers, as in "Short, polite, metric units, never guess a torque"."""
    system_prompt: str = ""
    """First message of each conversation, in training, evaluation, chat and export, if any."""
    passages: Share = 0.6
    """Share of the training questions that stand behind the passages which retrieval finds, as they
    will where documents are looked up (RAFT, Zhang et al. 2024); the others are learnt by heart.
    0: for a model that is served without its documents."""
    turns: Literal["all", "last"] = "all"
    """Answers of a conversation that are trained on: each one, or the last alone."""
    refusal: str = "I do not know: my documents say nothing about that."
    """What it answers where the documents have no answer (kind ``not_in_documents``). In documents
    of another language the teacher says it in that language."""
    extraction: str = ""
    """Instruction of the kind ``extraction``, as in "Write the order as JSON"; its answers follow
    the JSON Schema in ``paths.schema_file``. Empty: no such pairs."""
    classification: str = ""
    """Instruction of the kind ``classification``, as in "Which team does this ticket go to?"; its
    answer is one of ``labels``. Empty: no such pairs."""
    labels: tuple[str, ...] = ()
    """Answers of the kind ``classification``."""
    rewriting: str = ""
    """Instruction of the kind ``rewriting``, as in "Say it in our house style"; the style is that
    of the texts in ``paths.style``. Empty: no such pairs."""

    @field_validator("labels")
    @classmethod
    def _two_labels(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if len(value) == 1 or len({label.casefold() for label in value}) < len(value):
            raise ValueError("two or more different labels are needed")
        return value


Limit = Annotated[float, Field(ge=0)]


class BudgetSettings(Section):
    """What the pairs of a data set may take; what is reached first ends the generation.

    It ends with the pairs that it has; a larger budget goes on from there. 0 is no limit. Tokens of
    kept replies count as well: the limits are of the data set, whatever a run had to ask anew.
    """

    tokens: Annotated[int, Field(ge=0)] = 0
    """Read and written."""
    cost: Limit = 0
    """In the currency of the prices."""
    minutes: Limit = 0
    """Of the clock."""
    price_read: Limit = 0
    """Of a million tokens of requests, as the provider says it."""
    price_written: Limit = 0
    """Of a million tokens of replies."""
