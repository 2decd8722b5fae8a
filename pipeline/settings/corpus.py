"""Settings of documents, from files to splits."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pipeline.settings.base import HomePath, Location, Section, Share


class PathSettings(Section):
    """Where things are; relative paths count from the settings file, else the working directory.

    An empty string for a file that may be left out means that there is none.
    """

    input: Location = Path("data/samples")
    """Folder of raw documents, read recursively and never written to; or its address in an object
    store: ``s3://bucket/folder``, ``gs://``, ``abfs://``, with credentials in the environment."""
    home: HomePath = Path("data/home")
    """Everything the program writes: store, replies, reviews, runs, refs. Or its address in an
    object store, mirrored in the user's cache folder (``TUNELOOP_CACHE``)."""
    seeds: Path | None = Path("data/seeds/seed_tasks.jsonl")
    """Seed tasks of self-instruct."""
    gold: Path | None = Path("data/gold/gold.jsonl")
    """Questions with an expert's answers, accepted as they are: JSON Lines, JSON, CSV, Parquet."""
    rows: tuple[Location, ...] = ()
    """Rows that you have already, to be trained on: files, folders or data sets that ``datasets``
    saved, ``hf://owner/name#split``; Alpaca, ShareGPT, messages, prompt or question and answer."""
    benchmarks: tuple[Path, ...] = ()
    """Files whose rows must not be trained on: JSON Lines, JSON, CSV, Parquet or text."""
    general: Path | None = Path("data/general")
    """Folder with texts.jsonl and questions.jsonl for the forgetting check."""
    prompts: Path | None = None
    """Folder with prompts of your own, each instead of the one of its kind of task:
    ``how_to.md`` and so on; ``tuneloop show prompts`` prints those in use."""
    schema_file: Path | None = None
    """JSON Schema that the answers of the kind ``extraction`` follow."""
    style: Path | None = None
    """Text file written in the style that the kind ``rewriting`` is to learn."""
    logs: Path | None = None
    """Folder with what was asked of the model and answered, as JSON lines with prompt, response,
    time and perhaps rating; the drift check reads it. Empty: what ``tuneloop serve`` logs."""


class IngestSettings(Section):
    """Which files are read, and how."""

    include: tuple[str, ...] = ("**/*",)
    """Globs below the input folder."""
    exclude: tuple[str, ...] = ("**/.*", "**/.*/**")
    """Globs that win over include; hidden files by default."""
    text_field: str = "text"
    """Field of a JSONL record, or column of a CSV, TSV or Parquet file, that holds the text."""
    title_fields: tuple[str, ...] = ("title", "subject", "name")
    """Fields or columns that may hold the title, best first; else the file name."""
    max_file_megabytes: Annotated[float, Field(gt=0)] = 64
    """Larger files are quarantined: one of them can exhaust the memory of a laptop."""
    seconds_per_file: Annotated[float, Field(gt=0)] = 60
    """Time for reading one file; one that takes longer is quarantined, and tried again when the
    files or this setting change."""
    max_memory_megabytes: Annotated[float, Field(ge=256)] = 1024
    """Memory of one worker process; a file that needs more is quarantined."""
    missing_files: Literal["keep", "drop"] = "keep"
    """What becomes of documents whose file has left the folder. ``keep``: an inbox that is
    emptied between runs still adds up to one corpus; ``drop``: the folder is the corpus."""


class CleanSettings(Section):
    """Cleaning, language, quality and personal data."""

    how = frozenset({"seconds_per_document", "max_memory_megabytes"})

    languages: tuple[str, ...] = ("en",)
    """ISO 639-1 codes to keep; empty keeps all."""
    min_language_probability: Share = 0.65
    """Below it the language counts as unknown; 0.65 is FineWeb's, 0.8 Data-Juicer's."""
    profile: str = "technical"
    """Quality rules: ``technical`` allows code, tables and bullets; ``web`` has the numbers of
    Gopher, C4 and FineWeb; ``faq`` takes single sentences; ``any-language`` needs no spaces and no
    Latin letters; ``off`` has none. ``tuneloop curate --dry-run --profile all`` compares them."""
    limits: dict[str, float] = Field(default_factory=dict)
    """Overrides of the profile's limits, by rule: ``--set clean.limits.mean_word_length=14``."""
    redact: tuple[str, ...] = ("all",)
    """Personal data and secrets to replace: EMAIL, PHONE, IBAN, CARD, ID, IP, KEY, or ``all``."""
    redact_allow: tuple[str, ...] = ()
    """Values that stay, exact or as globs: ``*@ourcompany.com``, ``192.0.2.*``."""
    id_countries: tuple[str, ...] = ("all",)
    """Countries (ISO 3166) whose tax, social security and health ids are found; ``all``: all."""
    phone_region: str = ""
    """Country (ISO 3166, ``GB``) whose national phone numbers count; empty: only +.. numbers."""
    seconds_per_document: Annotated[float, Field(gt=0)] = 60
    """Time for cleaning one document in a worker; one that takes longer is dropped."""
    max_memory_megabytes: Annotated[float, Field(ge=256)] = 2048
    """Memory of one worker; a document that needs more is dropped. The tree of an HTML page takes
    about 20 times its bytes."""


class ParagraphSettings(Section):
    """Paragraphs that occur in many documents: licence notes, footers, standing warnings."""

    how = frozenset({"action"})  # taking them out is a stage of its own

    action: Literal["report", "remove", "off"] = "report"
    """``report``: list them; ``remove``: take them out of all documents but the first one. Look
    at the list first (``tuneloop show repeated_paragraphs``): a warning may be meant to repeat."""
    min_documents: Annotated[int, Field(ge=2)] = 5
    """Documents that have a paragraph from which it is boilerplate. CCNet and C4 say 2, on pages
    of the web; pages of one manual share a paragraph or two for good reason."""
    min_share: Share = 0.001
    """The same as a share of all documents; the larger of the two counts: what five of a million
    pages have in common is a quotation."""
    min_words: Annotated[int, Field(ge=1)] = 10
    """Shorter paragraphs are labels ("See also the next section.") that the text needs."""


class DedupSettings(Section):
    """Exact and near duplicates."""

    how = frozenset({"incremental"})

    threshold: Share = 0.8
    """True Jaccard similarity from which two documents are near duplicates."""
    containment: Share = 0.9
    """Share of a document's words in runs of five words of a longer one, from which it goes for
    that one; 0: a document inside another stays."""
    keep_siblings: bool = True
    """Pages of one template stay: those that differ in numbers, signs or operators (error codes,
    prices, versions) or in a word that one uses more than three times as often. False: they are
    duplicates. Dates and page numbers never count."""
    preferred_sources: tuple[str, ...] = ()
    """Globs of sources that survive before others, most preferred first."""
    max_cluster_share: Share = 0.01
    """A cluster above this share of the documents (and above 20) stops the run: boilerplate."""
    incremental: bool = True
    """Documents that an earlier run accepted stay, and only new ones are compared, with them and
    with each other: ids, pairs and reviews keep their document. False: each run decides anew."""


class SemanticSettings(Section):
    """Documents that say the same in other words; needs the extra ``semantic``."""

    enabled: bool = False
    """Off by default: a wrong find loses a document, and what only small words tell apart
    ("not", "before") is not seen in a text that is worded anew."""
    threshold: Share = 0.9
    """Cosine of the embeddings (semhash's default). Passages that say the same have 0.91 to 0.97,
    about neighbouring things at most 0.65 (``python -m tests.pipeline.dedup.passages``)."""
    max_cluster_share: Share = 0.01
    """More documents than this share (and than 20) that go for one stop the run: a template."""


class ChunkSettings(Section):
    """Pieces that a teacher reads."""

    max_tokens: Annotated[int, Field(ge=32)] = 350
    """Tokens of the base model's tokenizer."""
    join_tokens: Annotated[int, Field(ge=0)] = 100
    """Shorter sections join a neighbour: three sentences give a teacher little to ask about."""
    min_tokens: Annotated[int, Field(ge=1)] = 24
    """A piece that is shorter even then is left out, unless it is a sentence and the whole text."""
    overlap_sentences: Annotated[int, Field(ge=0, le=5)] = 1
    """Sentences repeated at the start of the next chunk of one long section."""


class SplitSettings(Section):
    """Train, validation and test, by families of documents or of sections."""

    unit: Literal["auto", "document", "section"] = "auto"
    """What stays together: ``auto`` takes documents, or their sections when there are too few of
    them for the six test documents that the gate asks for (fewer than 40)."""

    validation: Share = 0.1
    test: Share = 0.15
    """A little above the usual 0.1: the sample corpus is small and its test set has to judge. Of a
    small corpus more, up to a third: as many documents or sections as below, and the gold rows."""
    gold_rows: Annotated[int, Field(ge=0)] = 30
    """Gold rows wanted in the test set, which documents with gold rows join until it has them. With
    fewer, a fifth of ``generate.target`` is asked of test documents first, for people to accept."""
    gold_documents: Annotated[int, Field(ge=0)] = 10
    """Documents that the test set should be of: 30 rows of one document tell about that one."""
    salt: str = "tuneloop"
    """Another salt is another assignment."""
