"""Fixtures of the training tests."""

import pytest

from pipeline.settings import ModelSettings
from pipeline.train.models.base_model import BaseModel, resolve_model


@pytest.fixture(scope="session")
def base(models_dir) -> BaseModel:
    """The embedded base model."""
    return resolve_model(ModelSettings(), models_dir)
