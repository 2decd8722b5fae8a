"""The digest of a stage's code changes with what can change its result, and with nothing else."""

import importlib
import json

import pytest

from pipeline.core import code
from pipeline.core.code import code_digests
from tests.pipeline.dear_stages import RECORD, record, stages

BEFORE = '''"""A rule."""
from pipeline.ingest.helper import shorter

LIMIT = 3
"""Words."""


def rule(text: str) -> bool:
    """Whether a text goes."""
    # a comment
    return len(shorter(text).split()) < LIMIT
'''


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A product of two modules; returns a function that writes the first and digests both."""
    (tmp_path / "pipeline/ingest").mkdir(parents=True)
    (tmp_path / "pipeline/ingest/helper.py").write_text("def shorter(text):\n    return text\n")
    monkeypatch.setattr(code, "ROOT", tmp_path)
    monkeypatch.setattr(code, "program_cache", lambda: tmp_path / "cache")

    def digests(source, helper=None):
        (tmp_path / "pipeline/ingest/rule.py").write_text(source)
        if helper:
            (tmp_path / "pipeline/ingest/helper.py").write_text(helper)
        code._module.cache_clear()
        return code_digests(["pipeline.ingest.rule"])

    yield digests
    code._module.cache_clear()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", "# another comment"),
        ('"""Whether a text goes."""', '"""Whether a text is dropped, by its words."""'),
        ('"""Words."""', '"""Number of words."""'),
        ("LIMIT = 3", "LIMIT = (3)"),
        ("return len(", "return len(\n        "),
        ("LIMIT = 3", "LIMIT = 3\nif TYPE_CHECKING:\n    from schemas.base import Table"),
    ],
)
def test_comments_docstrings_layout_and_types_do_not_count(tree, old, new):
    assert old in BEFORE
    assert tree(BEFORE) == tree(BEFORE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("LIMIT = 3", "LIMIT = 4"),
        ("< LIMIT", "<= LIMIT"),
        ("def rule(text: str)", "def rule(text: str, _=None)"),
        ("shorter(text)", "text"),
    ],
)
def test_a_number_an_operator_and_a_call_count(tree, old, new):
    before, after = tree(BEFORE), tree(BEFORE.replace(old, new))
    assert before["pipeline.ingest.rule"] != after["pipeline.ingest.rule"]
    assert before["pipeline.ingest.helper"] == after["pipeline.ingest.helper"]


def test_what_a_module_imports_counts_even_inside_a_function(tree):
    late = BEFORE.replace("from pipeline.ingest.helper import shorter\n", "").replace(
        "    # a comment", "    from pipeline.ingest.helper import shorter\n"
    )
    before = tree(late)
    after = tree(late, "def shorter(text):\n    return text[:99]\n")
    assert before.keys() == after.keys() == {"pipeline.ingest.rule", "pipeline.ingest.helper"}
    assert before["pipeline.ingest.helper"] != after["pipeline.ingest.helper"]


def test_a_function_counts_by_itself_where_its_stage_names_other_modules(tree):
    tree(BEFORE)
    before = code.function_digest("pipeline.ingest.rule", "rule")
    tree(BEFORE.replace("LIMIT = 3", "LIMIT = 4"))
    assert code.function_digest("pipeline.ingest.rule", "rule") == before
    tree(BEFORE.replace("< LIMIT", "<= LIMIT"))
    assert code.function_digest("pipeline.ingest.rule", "rule") != before


def test_every_stage_knows_the_module_of_its_function():
    for stage in stages():
        roots = stage.code or (stage.function.__module__,)
        assert set(roots) <= stage.modules().keys(), stage.name
        own = f"{stage.function.__module__}.{stage.function.__name__}"
        for name in stage.modules().keys() - {own}:
            assert importlib.util.find_spec(name), name


@pytest.mark.parametrize(
    ("module", "names"),
    [
        ("pipeline.documents.readers.markdown", {"ingest"}),
        ("pipeline.documents.clean.privacy.numbers", {"clean", "rows"}),
        ("pipeline.documents.chunk.splitter", {"chunk"}),
        ("pipeline.evaluate.gate.checks", {"gate"}),
    ],
)
def test_a_rule_belongs_to_the_stages_that_use_it(module, names):
    cheap = {stage.name for stage in stages() if stage.version is None}
    assert {stage.name for stage in stages() if module in stage.modules()} & cheap == names


def test_the_code_of_a_dear_stage_changed_and_somebody_said_whether_its_results_do():
    """If not: raise the version of the stages named here where results change; then renew."""
    assert record() == json.loads(RECORD.read_text("utf-8"))


def test_a_digest_is_made_once_for_all_processes(tree, monkeypatch):
    made = tree(BEFORE)
    monkeypatch.setattr(code.ast, "parse", None)
    assert tree(BEFORE) == made


def test_the_data_beside_a_module_count(tree, tmp_path):
    before = tree(BEFORE)
    (tmp_path / "pipeline/ingest/helper.toml").write_text("limit = 3")
    after = tree(BEFORE)
    assert {name for name in before if before[name] != after[name]} == {"pipeline.ingest.helper"}


def test_what_a_module_made_is_made_anew_for_another_key_or_changed_code(tree, tmp_path):
    made = []

    def look(rows):
        def make():
            made.append(rows)
            return {"rows": rows}

        return code.remembered(tmp_path / "looked", "pipeline.ingest.rule", {"of": rows}, make)

    tree(BEFORE)
    assert [look(1), look(1), look(2)] == [{"rows": 1}, {"rows": 1}, {"rows": 2}]
    assert made == [1, 2]
    tree(BEFORE.replace("# a comment", "# another comment"))
    look(1)
    assert made == [1, 2]
    tree(BEFORE.replace("LIMIT = 3", "LIMIT = 4"))
    look(1)
    assert made == [1, 2, 1]
