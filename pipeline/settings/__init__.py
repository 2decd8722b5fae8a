"""Every setting, its default and its reason, in one place: a section a stage.

Loaded by :mod:`pipeline.settings_file` from one TOML file and ``--set section.key=value``; an
unknown key is an error. Secrets are not settings: they come from the environment
(``LABEL_STUDIO_API_KEY``, ``OPENAI_API_KEY``) and are never stored.
"""

from pipeline.settings.base import Section, Share
from pipeline.settings.corpus import (
    ChunkSettings,
    CleanSettings,
    DedupSettings,
    IngestSettings,
    PathSettings,
    SplitSettings,
)
from pipeline.settings.loop import (
    LabelStudioSettings,
    MonitorSettings,
    RetrainSettings,
    ScheduleSettings,
    StoreSettings,
)
from pipeline.settings.model import EvaluateSettings, GateSettings, ModelSettings, TrainSettings
from pipeline.settings.pairs import (
    GenerateSettings,
    ReviewSettings,
    ScreenSettings,
    TeacherSettings,
)

__all__ = [
    "ChunkSettings",
    "CleanSettings",
    "DedupSettings",
    "EvaluateSettings",
    "GateSettings",
    "GenerateSettings",
    "IngestSettings",
    "LabelStudioSettings",
    "ModelSettings",
    "MonitorSettings",
    "PathSettings",
    "RetrainSettings",
    "ReviewSettings",
    "ScheduleSettings",
    "ScreenSettings",
    "Section",
    "Settings",
    "Share",
    "SplitSettings",
    "StoreSettings",
    "TeacherSettings",
    "TrainSettings",
]


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
    label_studio: LabelStudioSettings = LabelStudioSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    monitor: MonitorSettings = MonitorSettings()
    retrain: RetrainSettings = RetrainSettings()
