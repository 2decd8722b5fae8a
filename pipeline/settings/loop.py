"""Settings of what runs by itself: servers, schedules, drift checks, retraining; who computes."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from pipeline.core.remote import holds_secret
from pipeline.settings.base import Section, Share


class StoreSettings(Section):
    """Borders of the store."""

    failure_budget: Share = 0.02
    """Share of rows of a table that may be quarantined by its schema; more fails the stage."""
    min_free_megabytes: Annotated[int, Field(ge=0)] = 500
    """Free disk space below which nothing is started: a model and its checkpoints need room."""
    rebuild: tuple[str, ...] = ()
    """Stages that ask a teacher, train or run a model (``train``, ``evaluate``) and are made again
    where their code changed; all others always are."""


class LabelStudioSettings(Section):
    """Where people review in a browser; without a server the queue is made of files."""

    url: str = ""
    """A server that runs, its key in LABEL_STUDIO_API_KEY. Empty: that of ``tuneloop up``."""
    managed: bool = True
    """Whether ``tuneloop up`` starts a server when no url is given."""
    command: Path | None = None
    """The label-studio program; empty: the one that ``make up`` installs beside the checkout."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    """Of 127.0.0.1. Label Studio would move to the next free port without a word: we check."""
    project: Annotated[str, Field(min_length=3, max_length=50)] = "tuneloop"
    """Title of the project; three characters are the least that Label Studio takes."""
    reviewers: Annotated[int, Field(ge=1, le=10)] = 1
    """People who should decide on each pair."""
    timeout_seconds: Annotated[float, Field(gt=0)] = 60
    chunk_size: Annotated[int, Field(ge=1, le=1000)] = 100
    """Tasks in one import request: a longer one locks the server's database."""


class ScheduleSettings(Section):
    """When ``tuneloop up`` runs what; five cron fields, or empty for never."""

    timezone: str = "UTC"
    curate: str = "15 1 * * *"
    synthesize: str = "15 2 * * *"
    """Curates as well, then writes and screens pairs; the next review sync queues them."""
    review: str = "*/15 * * * *"
    """Pulls decisions and pushes what should be reviewed next."""
    monitor: str = "5 * * * *"
    reconcile: str = "35 * * * *"
    """Starts a retrain that was decided and whose event got lost."""
    prefect_port: Annotated[int, Field(ge=1, le=65535)] = 4200
    """Of 127.0.0.1."""
    page_port: Annotated[int, Field(ge=1, le=65535)] = 4280
    """Of 127.0.0.1: the front page of ``tuneloop up``."""
    model_slots: Annotated[int, Field(ge=1)] = 1
    """Stages that may hold a model in memory at the same time."""


class NotifySettings(Section):
    """Who is told of drift, verdicts, failed runs and schedules that stopped."""

    block: Annotated[str, Field(pattern=r"^([a-z0-9-]+/[a-z0-9-]+)?$")] = ""
    """One of Prefect's page of blocks, which sends: ``slack-webhook/team``, ``sendgrid-email/ada``,
    ``custom-webhook/ops``. Its address and its key stay there. Empty: nothing is sent."""


class MonitorSettings(Section):
    """The drift check: how much is compared, and what counts as drift."""

    min_window: Annotated[int, Field(ge=8)] = 50
    """New texts of a kind below which nothing is tested: they wait for the next check."""
    window: Annotated[int, Field(ge=8)] = 200
    """Texts of a kind in a window; a larger delivery is dealt out over ``windows`` at most."""
    max_window: Annotated[int, Field(ge=8)] = 2000
    """Rows taken of each side at most, so that the power does not grow with the archive."""
    alpha: Annotated[float, Field(gt=0, le=0.2)] = 0.01
    """False-alarm rate of each primary test in one window: the words and the shape of each kind
    of text, and the loss on freshly accepted responses."""
    q: Annotated[float, Field(gt=0, le=0.5)] = 0.05
    """False discovery rate of the warnings (Benjamini-Hochberg)."""
    permutations: Annotated[int, Field(ge=99)] = 999
    """Of the labels, for exact p-values: (1 + as extreme) / (1 + permutations)."""
    calibration_draws: Annotated[int, Field(ge=50)] = 200
    """Splits of the reference against itself that give the effect thresholds."""
    min_auc: Annotated[float, Field(gt=0.5, lt=1)] = 0.62
    """Two-sample test: drift needs an area under the curve above this and above the calibrated
    threshold, since with many rows an irrelevant change is significant."""
    leave_auc: Annotated[float, Field(gt=0.5, lt=1)] = 0.56
    """Drift counts as over once the area is below this (hysteresis)."""
    windows: Annotated[int, Field(ge=1)] = 3
    """Latest windows that are looked at together."""
    confirm: Annotated[int, Field(ge=1)] = 2
    """Of these, windows with drift before anything is started."""
    loss_margin: Annotated[float, Field(ge=0)] = 0.05
    """Nats a token by which the champion must do worse on new text than on the reference."""
    performance_margin: Annotated[float, Field(ge=0)] = 0.1
    """Nats a token by which the champion must do worse on freshly accepted pairs than on the
    test set; the lower bound of the difference counts."""
    max_quarantined: Share = 0.3
    """Share of newly read rows that quarantine may take; more means that ingest is broken."""
    review_pairs: Annotated[int, Field(ge=0)] = 40
    """Pairs of drifted documents queued for people when there is nothing new to learn from; and
    logged exchanges that wait for people at a time."""
    low_rating: float = 0
    """Rating up to which an exchange goes to people: a thumb down is -1, false is 0."""
    seed: int = 29

    @model_validator(mode="after")
    def _bounds_are_in_order(self) -> "MonitorSettings":
        if not self.min_window <= self.window <= self.max_window:
            raise ValueError("monitor.min_window, window and max_window are not in this order")
        if self.alpha * (1 + self.permutations) < 1:
            raise ValueError(
                "monitor.permutations is too small for monitor.alpha: no p-value could be below it"
            )
        if self.leave_auc > self.min_auc:
            raise ValueError("monitor.leave_auc is above monitor.min_auc")
        if self.confirm > self.windows:
            raise ValueError("monitor.confirm is above monitor.windows: it could never be met")
        return self


class RetrainSettings(Section):
    """When a drift decision may start a training."""

    min_new_rows: Annotated[int, Field(ge=1)] = 200
    """Rows that training may use now and that the champion was not trained on."""
    cooldown_days: Annotated[float, Field(ge=0)] = 7
    """Days after a retrain without another; a lost challenge doubles them, up to four times."""
    max_in_30_days: Annotated[int, Field(ge=1)] = 4
    """Circuit breaker: after so many something is wrong that training does not mend."""
    grace_minutes: Annotated[float, Field(ge=0)] = 10
    """Time that an event has before ``reconcile`` starts what it should have started."""


class ServeSettings(Section):
    """``tuneloop serve``: an OpenAI-compatible endpoint, and a page to ask in."""

    host: str = "127.0.0.1"
    """Address to listen on; one that other machines reach needs a key in TUNELOOP_SERVE_KEY, to
    come with every request as ``Authorization: Bearer``."""
    port: Annotated[int, Field(ge=1, le=65535)] = 8600
    upstream: str = ""
    """Server of the exported model (vLLM, llama.cpp, Ollama), as in ``http://127.0.0.1:8000/v1``;
    its key is TUNELOOP_UPSTREAM_KEY. Empty: the champion answers in this process."""
    upstream_model: str = ""
    """What the model is called there. Empty: the first that the server lists."""
    retrieval: Literal["verdict", "on", "off"] = "verdict"
    """Whether passages go before a question; ``verdict``: as the champion was judged."""
    log: bool = False
    """Whether questions and answers are logged for the drift check, without personal data
    (``clean.redact``): into ``paths.logs``, else into ``exchanges`` of the home folder."""
    max_tokens: Annotated[int, Field(ge=1)] = 512
    """Of an answer whose request sets no limit."""
    waiting: Annotated[int, Field(ge=0)] = 32
    """Requests that wait while another one is answered; more are refused (429)."""

    @field_validator("upstream")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        if value and (not value.startswith(("http://", "https://")) or holds_secret(value)):
            raise ValueError("expected http://HOST/v1 without a password or query")
        return value.rstrip("/")


class TrackingSettings(Section):
    """A mirror of runs and registry in MLflow; our own files are always written."""

    mlflow: Annotated[str, Field(pattern=r"^(sqlite:///.+)?$")] = ""
    """``sqlite:///FILE`` (from the home folder, ``sqlite:////`` from the root); empty: none.
    Needs ``pip install tuneloop[mlflow]``. No server: nothing leaves the machine."""
    name: Annotated[str, Field(min_length=1)] = "tuneloop"
    """Of the experiment and of the registered model."""


class ComputeSettings(Section):
    """Who reads, cleans, compares and cuts the documents; the result is the same."""

    runner: Literal["inline", "processes", "ray"] = "processes"
    """``processes``: workers of this machine, which hold each document to its limits of time and
    memory; ``ray``: the same on a Ray cluster; ``inline``: this process alone, without limits."""
    workers: Annotated[int, Field(ge=0, le=1024)] = 0
    """Worker processes of this machine; 0: one for each core that may be used."""
    memory_megabytes: Annotated[int, Field(ge=64)] = 2048
    """Memory of the process that collects: tables above a sixteenth of it and buckets above an
    eighth lie in files. A document takes about 6 kB all the same: names, ids, hashes."""
    ray_address: str = "auto"
    """Ray cluster, ``HOST:PORT``; ``auto``: the one that this machine is a node of. Its nodes take
    credentials for addresses such as ``s3://`` from their own environment."""

    def who(self) -> dict[str, Any]:
        """Return what :func:`pipeline.core.runner.open_runner` takes."""
        return self.model_dump(exclude={"memory_megabytes"})
