"""Settings: one place, no typo passes, everything can be written down and read back."""

import pytest

from flows.engine.settings_file import dump_settings, load_settings
from pipeline.core.errors import SettingsError
from pipeline.settings import Settings, TrainSettings


def test_defaults_survive_being_written_and_read(tmp_path):
    path = tmp_path / "settings.toml"
    settings = load_settings()
    path.write_text(dump_settings(settings), "utf-8")
    assert load_settings(path) == settings
    assert settings.dedup == Settings().dedup


def test_paths_count_from_the_file_and_overrides_from_the_working_directory(tmp_path, monkeypatch):
    path = tmp_path / "project" / "tuneloop.toml"
    path.parent.mkdir()
    path.write_text('[paths]\ninput = "raw"\ngold = ""\n', "utf-8")
    monkeypatch.chdir(tmp_path)
    paths = load_settings(path, ["paths.home=elsewhere"]).paths
    assert paths.input == tmp_path / "project" / "raw"
    assert paths.home == tmp_path / "elsewhere"
    assert paths.gold is None


def test_all_errors_are_shown_at_once_with_the_nearest_key(tmp_path):
    path = tmp_path / "tuneloop.toml"
    path.write_text("[dedup]\ntreshold = 0.5\n[split]\ntest = 3\n[trian]\n", "utf-8")
    with pytest.raises(SettingsError) as error:
        load_settings(path)
    message = str(error.value)
    assert "dedup.treshold is not a setting (did you mean threshold?)" in message
    assert "split.test: 3 found" in message
    assert "trian is not a setting (did you mean train?)" in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("ingest.workers=2", "compute.workers"),
        ("clean.workers=2", "compute.workers"),
        ("chunk.workers=2", "compute.workers"),
        ("dedup.runner=ray", "compute.runner"),
        ("dedup.ray_address=auto", "compute.ray_address"),
    ],
)
def test_a_setting_that_has_moved_says_where_it_is(old, new):
    with pytest.raises(SettingsError, match=f"{old.split('=')[0]} is {new} now"):
        load_settings(None, [old])


def test_a_setting_that_is_a_constant_now_may_have_its_value_and_no_other(tmp_path):
    path = tmp_path / "tuneloop.toml"
    path.write_text("[dedup]\nngram = 5\nnum_perm = 128\nseed = 1\n", "utf-8")
    assert load_settings(path).dedup == Settings().dedup
    with pytest.raises(SettingsError, match=r"dedup\.ngram is no setting any more, .* always 5"):
        load_settings(path, ["dedup.ngram=7"])


def test_an_override_wins_over_the_file(tmp_path):
    path = tmp_path / "tuneloop.toml"
    path.write_text("[dedup]\nthreshold = 0.5\n", "utf-8")
    settings = load_settings(path, ["dedup.threshold=0.9", "train.method=lora"])
    assert (settings.dedup.threshold, settings.train.method) == (0.9, "lora")


@pytest.mark.parametrize("override", ["dedup", "threshold=1", "=3", "dedup.threshold"])
def test_a_malformed_override_says_its_form(override):
    with pytest.raises(SettingsError, match=r"expected section\.key=value"):
        load_settings(None, [override])


def test_a_missing_or_broken_file_is_one_line(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        load_settings(tmp_path / "none.toml")
    broken = tmp_path / "broken.toml"
    broken.write_text("[dedup\n", "utf-8")
    with pytest.raises(SettingsError, match="is not TOML"):
        load_settings(broken)


def test_an_endpoint_needs_a_model():
    with pytest.raises(SettingsError, match=r"teacher\.model is empty"):
        load_settings(None, ["teacher.kind=openai"])


def test_every_setting_says_what_it_is_or_speaks_for_itself():
    """Fields whose name is not enough carry a description; sections all have a docstring."""
    for name, section in Settings.model_fields.items():
        assert section.annotation.__doc__, name


def test_a_value_inside_a_table_of_a_section_can_be_set():
    settings = load_settings(None, ["clean.limits.too_short=5", "clean.limits.too_long=9e4"])
    assert settings.clean.limits == {"too_short": 5, "too_long": 90_000}
    assert load_settings(None, ["clean.limits={too_short=5}"]).clean.limits == {"too_short": 5}
    with pytest.raises(SettingsError, match="threshold is a value; expected a section"):
        load_settings(None, ["dedup.threshold=0.9", "dedup.threshold.x=1"])


def test_a_country_without_known_ids_is_refused_with_those_that_have_some():
    with pytest.raises(
        SettingsError, match=r"no ids are known of UK; expected all, or some of .*GB"
    ):
        load_settings(None, ["clean.id_countries=['UK']"])


def test_models_trained_when_checkpoints_came_every_five_steps_are_not_trained_again():
    assert TrainSettings().recipe()["checkpoint_steps"] == 5
    assert TrainSettings(checkpoint_steps=2).recipe()["checkpoint_steps"] == 2
    limits = {"micro_batch_size": 8, "micro_batch_tokens": 1024, "packing": False}
    assert TrainSettings().recipe() == TrainSettings(**limits, checkpoint_steps=5).recipe()
    assert TrainSettings(packing=True).recipe()["packing"] is True
