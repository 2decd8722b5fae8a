"""The list of models, their cards and a promotion by hand, on a really trained tiny model."""

import json
import re

import pytest
from click.testing import CliRunner
from huggingface_hub import DatasetCard, ModelCard

from flows.cli.main import main
from flows.engine.settings_file import dump_settings
from pipeline.core.registry import CHALLENGER, CHAMPION, Registry
from pipeline.core.store import Store
from pipeline.pairs.data_forms import DATA_FORMS
from pipeline.train.export.exporters import EXPORTERS
from tests.flows.judged_home import judge, settings_of, train_into
from tests.pipeline.evaluate.test_gate import GOOD, KEPT

pytestmark = pytest.mark.model
AT = "2026-01-02T00:00:00Z"


@pytest.fixture(scope="module")
def project(tmp_path_factory, tiny_base):
    """Two models: the first judged and refused, the second one not judged."""
    home = tmp_path_factory.mktemp("judged")
    first = train_into(home, tiny_base)
    second = train_into(home, tiny_base, seed=18)
    config = home / "tuneloop.toml"
    config.write_text(dump_settings(settings_of(tiny_base, home)), "utf-8")
    judge(home, first, leaks=2)
    Registry(home / "refs").point(CHALLENGER, first, "trained", AT)
    return home, config, first, second


def call(config, *words):
    done = CliRunner().invoke(main, [*words, "--config", str(config)])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_the_card_is_the_challengers_until_there_is_a_champion(project):
    home, config, first, _ = project
    assert Registry(home / "refs").get(CHAMPION) is None
    assert json.loads(call(config, "card", "--json")) == json.loads(
        call(config, "card", first.fingerprint, "--json")
    )


def test_models_are_listed_with_verdict_and_marks(project):
    _, config, first, second = project
    rows = json.loads(call(config, "models", "--json"))["models"]
    by_name = {row["fingerprint"]: row for row in rows}
    assert by_name.keys() == {first.fingerprint, second.fingerprint}
    judged, other = by_name[first.fingerprint], by_name[second.fingerprint]
    assert (judged["verdict"], judged["correct"]) == ("refused", 0.78)
    assert judged["marks"] == ["challenger"] and judged["method"] == "lora"
    assert "2 training rows repeat test rows" in judged["summary"]
    assert (other["verdict"], other["correct"], other["marks"]) == ("not judged", None, [])
    lines = call(config, "models").splitlines()
    assert any(first.fingerprint in line and "refused" in line for line in lines)


def test_a_promotion_by_hand_shows_what_the_gate_said_and_keeps_the_evidence(project):
    home, config, first, second = project
    said = call(config, "promote", "--reason", "we know better")
    assert "gate said    not promoted" in said and "2 training rows repeat test rows" in said
    (folder,) = (home / "store" / "verdict").iterdir()
    ref = Registry(home / "refs").get(CHAMPION)
    assert ref.evidence == f"verdict/{folder.name}"
    assert ref.reason == "by hand: we know better"
    Registry(home / "refs").point(CHALLENGER, second, "trained", AT)
    plain = json.loads(call(config, "promote", "--reason", "b", "--json"))
    assert plain["gate"] == "nothing: this model was not judged" and plain["evidence"] is None
    marks = {
        row["fingerprint"]: row["marks"]
        for row in json.loads(call(config, "models", "--json"))["models"]
    }
    assert marks[first.fingerprint] == ["was champion"]
    assert marks[second.fingerprint] == ["champion", "challenger"]
    rolled = json.loads(call(config, "rollback", "--reason", "c", "--json"))
    assert rolled["fingerprint"] == first.fingerprint


def test_the_header_of_a_model_card_parses_and_its_numbers_are_the_records(project):
    home, config, first, _ = project
    text = json.loads(call(config, "card", first.fingerprint, "--json"))["model"]
    card = ModelCard(text)
    assert card.data.library_name == "peft" and card.data.pipeline_tag == "text-generation"
    assert card.data.base_model == "tiny-llama"
    results = {result.metric_type: result.metric_value for result in card.data.eval_results}
    assert results == {name: value.value for name, value in GOOD.arms["challenger"].items()}
    run_card = json.loads((home / "store/model" / first.fingerprint / "run_card.json").read_text())
    assert f"| trainable parameters | {run_card['trainable_parameters']:,} |" in text
    assert run_card["template_digest"] in text and run_card["base_model"]["digest"] in text
    assert f"{run_card['supervised_tokens']:,} trained tokens" in text
    for name, value in run_card["settings"].items():
        assert f"| {name} | {value} |" in text
    assert "0.780 (0.680 to 0.880)" in text  # correctness of the challenger with its interval
    assert f"rise {KEPT.forgetting.rise.value:.3f}" in text
    assert "| no leak | no | 2 training rows repeat test rows, allowed 0 |" in text
    assert "General instructions followed: 9 of 12 before, 9 after." in text
    assert "12 examples: 8 train, 4 validation" in text
    assert "10 examples were not seen by a person" in text


def test_a_model_that_was_not_judged_has_a_card_without_results(project):
    _, config, _, second = project
    card = ModelCard(call(config, "card", second.fingerprint))
    assert card.data.eval_results is None
    assert "It was not judged yet." in card.text


def test_a_data_card_counts_rows_and_reviewers_and_names_nobody(project):
    home, config, first, _ = project
    text = call(config, "card", first.fingerprint, "--data")
    header = DatasetCard(text).data.to_dict()
    assert header["size_categories"] == ["n<1K"]
    assert "synthetic" in header["tags"]
    store = Store(home / "store")
    (key,) = [path.name for path in (home / "store/settled_pairs").iterdir()]
    facts = store.manifest("settled_pairs", key).facts
    row = f"| settled pairs | {facts.rows_in} | {facts.rows_kept} | rejected 1 |"
    assert row in text
    assert "| self instruct | teacher\\|a | 3 | 12 |" in text
    assert "2 reviewers. accepted 1, edited 1, rejected 1, unreviewed 10." in text
    assert "Lovelace" not in text and "Gauss" not in text


def test_every_table_of_a_card_has_as_many_cells_in_each_row(project):
    _, config, first, _ = project
    cards = json.loads(call(config, "card", first.fingerprint, "--json"))
    for text in (cards["model"], cards["data"]):
        for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
            rows = block.splitlines()
            cells = {len(re.findall(r"(?<!\\)\|", row)) for row in rows}
            assert len(cells) == 1, block
            assert re.fullmatch(r"\|(?:-+\|)+", rows[1]), block


def test_cards_are_written_into_a_folder(project, tmp_path):
    _, config, first, _ = project
    said = call(config, "card", first.fingerprint, "--to", str(tmp_path / "cards"))
    assert "model_card.md" in said
    ModelCard((tmp_path / "cards/model_card.md").read_text())
    DatasetCard((tmp_path / "cards/data_card.md").read_text())


def test_an_unknown_model_is_named_with_those_there_are(project):
    _, config, first, _ = project
    done = CliRunner().invoke(main, ["card", "nonsense", "--config", str(config)])
    assert done.exit_code == 2
    assert first.fingerprint in done.output


def test_the_help_of_export_names_every_form_of_a_model_and_of_data():
    said = " ".join(CliRunner().invoke(main, ["export", "--help"]).output.split())
    for name, form in (*EXPORTERS.items(), *DATA_FORMS.items()):
        assert f"{name}: {form.about}" in said
