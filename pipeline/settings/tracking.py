"""Settings of tracking: where runs and models are shown besides our own files."""

from typing import Annotated

from pydantic import Field

from pipeline.settings.base import Section


class TrackingSettings(Section):
    """A mirror of runs and registry in MLflow; our own files are always written."""

    mlflow: Annotated[str, Field(pattern=r"^(sqlite:///.+)?$")] = ""
    """``sqlite:///FILE`` (from the home folder, ``sqlite:////`` from the root); empty: none.
    Needs ``pip install tuneloop[mlflow]``. No server: nothing leaves the machine."""
    name: Annotated[str, Field(min_length=1)] = "tuneloop"
    """Of the experiment and of the registered model."""
