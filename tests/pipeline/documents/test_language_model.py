from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from py3langid.langid import MODEL_FILE, LanguageIdentifier, visit_counts

from pipeline.text.language_model import load

FOREIGN = (Path(__file__).parent / "foreign.txt").read_text("utf-8")
PLAIN = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
FAST = load()
SLICES = st.integers(0, len(FOREIGN)).flatmap(
    lambda start: st.integers(0, 300).map(lambda size: FOREIGN[start : start + size])
)


@given(SLICES | st.text(max_size=200))
def test_features_are_those_that_the_library_finds(text: str):
    data = PLAIN._encode(text)
    features, counts = FAST.features(data)
    found = visit_counts(PLAIN.tk_nextmove, PLAIN._rowbase, PLAIN.tk_output, data) or {}
    assert dict(zip(features.tolist(), counts.tolist(), strict=True)) == dict(found)


@given(SLICES | st.text(max_size=200))
def test_languages_and_probabilities_are_those_of_the_library(text: str):
    code, probability = FAST.classify(text)
    expected, its_probability = PLAIN.classify(text)
    assert probability == pytest.approx(its_probability, abs=1e-5)
    assert code == expected or probability < 0.51  # two are equally likely


def test_no_weight_is_subnormal_and_none_positive():
    assert PLAIN.nb_ptc.max() <= -(2.0**-14)


def test_it_loads_where_nothing_can_be_kept(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setattr("pipeline.text.language_model.program_cache", lambda: tmp_path / "file")
    assert load().classify(FOREIGN[:500]) == FAST.classify(FOREIGN[:500])


def test_it_is_unpacked_once_for_all_and_nothing_is_left_beside_it(monkeypatch, tmp_path):
    monkeypatch.setattr("pipeline.text.language_model.program_cache", lambda: tmp_path / "new")
    assert load().classify(FOREIGN[:500]) == FAST.classify(FOREIGN[:500])
    (folder,) = (tmp_path / "new").iterdir()
    made = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert load().classify(FOREIGN[:500]) == FAST.classify(FOREIGN[:500])
    assert made == {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
