"""Every setting, its default and its reason, in one place: a section a stage.

Loaded by :mod:`flows.engine.settings_file` from one TOML file and ``--set section.key=value``; an
unknown key is an error. Secrets are not settings: they come from the environment
(``LABEL_STUDIO_API_KEY``, ``OPENAI_API_KEY``) and are never stored.
"""

from pipeline.settings.base import Section
from pipeline.settings.corpus import (
    ChunkSettings,
    CleanSettings,
    DedupSettings,
    IngestSettings,
    ParagraphSettings,
    PathSettings,
    SemanticSettings,
    SplitSettings,
)
from pipeline.settings.evaluate import (
    EvaluateSettings,
    ForgettingSettings,
    GateSettings,
    JudgeSettings,
    LargerSettings,
)
from pipeline.settings.loop import (
    ComputeSettings,
    LabelStudioSettings,
    MonitorSettings,
    NotifySettings,
    RetrainSettings,
    ScheduleSettings,
    ServeSettings,
    StoreSettings,
    TrackingSettings,
)
from pipeline.settings.pairs import (
    BudgetSettings,
    GenerateSettings,
    ReviewSettings,
    ScreenSettings,
    TaskSettings,
    TeacherSettings,
)
from pipeline.settings.train import ExportSettings, ModelSettings, TrainSettings, TuneSettings


class Settings(Section):
    """All of it; a section a stage."""

    paths: PathSettings = PathSettings()
    store: StoreSettings = StoreSettings()
    compute: ComputeSettings = ComputeSettings()
    ingest: IngestSettings = IngestSettings()
    clean: CleanSettings = CleanSettings()
    paragraphs: ParagraphSettings = ParagraphSettings()
    dedup: DedupSettings = DedupSettings()
    semantic: SemanticSettings = SemanticSettings()
    chunk: ChunkSettings = ChunkSettings()
    split: SplitSettings = SplitSettings()
    model: ModelSettings = ModelSettings()
    task: TaskSettings = TaskSettings()
    teacher: TeacherSettings = TeacherSettings()
    generate: GenerateSettings = GenerateSettings()
    budget: BudgetSettings = BudgetSettings()
    screen: ScreenSettings = ScreenSettings()
    review: ReviewSettings = ReviewSettings()
    train: TrainSettings = TrainSettings()
    tune: TuneSettings = TuneSettings()
    evaluate: EvaluateSettings = EvaluateSettings()
    larger: LargerSettings = LargerSettings()
    forgetting: ForgettingSettings = ForgettingSettings()
    gate: GateSettings = GateSettings()
    export: ExportSettings = ExportSettings()
    tracking: TrackingSettings = TrackingSettings()
    judge: JudgeSettings = JudgeSettings()
    serve: ServeSettings = ServeSettings()
    label_studio: LabelStudioSettings = LabelStudioSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    notify: NotifySettings = NotifySettings()
    monitor: MonitorSettings = MonitorSettings()
    retrain: RetrainSettings = RetrainSettings()
