"""Errors a user can act on.

::

    TuneloopError            exit 2: one line, no traceback
      SettingsError          a setting is unknown, out of range or contradicts another
      InputError             the documents, seeds or gold rows cannot be used
      StoreError             the home folder cannot be read or written
        MissingDataset       a dataset that a ref or a run names is not there
        CorruptDataset       a dataset differs from its manifest
        HomeLocked           another run uses this home
      SchemaMismatch         a table breaks its schema beyond the failure budget
      TeacherError           the teacher does not answer, or not usefully
      ReviewError            the review queue or a decision cannot be used
      TrainingError          the model cannot be loaded, or a proof failed
      GateFailed             exit 1: the gate said no

Each message reads *thing: what was found; what was expected; what to do next*.
"""


class TuneloopError(Exception):
    """Base of everything the user can mend; the command line shows one line and exits 2."""


class SettingsError(TuneloopError):
    """A setting is unknown, out of range or contradicts another."""


class InputError(TuneloopError):
    """The documents, seed tasks or gold rows cannot be used."""


class StoreError(TuneloopError):
    """The home folder cannot be read or written."""


class MissingDataset(StoreError):
    """A dataset that a ref, a run or a command names is not there."""


class CorruptDataset(StoreError):
    """A dataset differs from its manifest."""


class HomeLocked(StoreError):
    """Another run uses this home folder."""


class SchemaMismatch(TuneloopError):
    """A table breaks its schema, or more rows do than the failure budget allows."""


class TeacherError(TuneloopError):
    """The teacher does not answer, or nothing useful comes of its answers."""


class ReviewError(TuneloopError):
    """The review queue or a decision cannot be used."""


class TrainingError(TuneloopError):
    """The model cannot be loaded, or a proof before or during training failed."""


class GateFailed(TuneloopError):
    """The gate said no; the command line exits 1."""
