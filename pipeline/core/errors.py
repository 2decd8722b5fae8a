"""Errors a user can act on, each one line: exit 2, or 1 when the gate said no.

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
