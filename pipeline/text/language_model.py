"""py3langid's identifier, faster; apart from :mod:`language` since it imports numpy."""

import lzma
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from py3langid.langid import MODEL_DIR, MODEL_FILE, LanguageIdentifier

from pipeline.core.cache import program_cache

_DEPTH = 6
"""Bytes of the longest feature: on no more of a text does the state of the automaton depend."""

_BEFORE = b"\xff" * (_DEPTH - 1)
"""Bytes that are in no UTF-8, hence in no feature: they leave the automaton at its root."""

_SHRUNK_BY = np.float32(2.0**112)
"""By so much is a number smaller whose exponent is that of a float16 and read as a float32's."""


class Identifier(LanguageIdentifier):  # type: ignore[misc]
    """Gives the codes and probabilities (but for their rounding) of its base.

    The base follows its automaton byte by byte, each a look into 40 MB of tables. Here each byte
    of a text is reached from the root, by the bytes before it, for all of them at once.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self._next = np.asarray(self.tk_nextmove)
        self._rows = np.array(self._rowbase, np.int64)
        self._features = np.asarray(self.tk_output, np.int32)

    def features(self, text: bytes) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the features that occur in a text in UTF-8, ascending, and how often each does."""
        before = np.frombuffer(_BEFORE + text, np.uint8)
        states = self._next.take(self._rows[0] + before[: len(text)])
        for at in range(1, _DEPTH):
            states = self._next.take(self._rows.take(states) + before[at : at + len(text)])
        found = self._features.take(states)
        found = np.sort(found[found >= 0])
        is_border = np.ones(len(found) + 1, dtype=bool)
        np.not_equal(found[1:], found[:-1], out=is_border[1:-1])
        borders = np.flatnonzero(is_border)
        return found[borders[:-1]], borders[1:] - borders[:-1]

    def _raw_score(self, text: bytes) -> NDArray[np.float32]:
        features, counts = self.features(text)
        if not len(features):
            return np.zeros(len(self.nb_classes), np.float32)
        weights = np.log1p(counts.astype(np.float32)) @ _shrunk(self.nb_ptc[features])
        scores: NDArray[np.float32] = self.nb_pc - weights * _SHRUNK_BY
        return scores


def _shrunk(values: NDArray[np.float16]) -> NDArray[np.float32]:
    """Return absolute values over :data:`_SHRUNK_BY`, far sooner than numpy converts a float16.

    Args:
        values: None subnormal. Exponent and fraction move to their place in a float32.
    """
    bits = values.view(np.uint16).astype(np.uint32)
    bits &= 0x7FFF
    bits <<= 13
    return bits.view(np.float32)


def load() -> Identifier:
    """Return an identifier with the model of the package, which gives probabilities."""
    try:
        model = _unpacked()
    except OSError:  # a full disk, a folder that is closed
        identifier: Identifier = Identifier.from_model_file(MODEL_FILE, norm_probs=True)
        return identifier
    return Identifier(
        model["ptc"],
        model["pc"],
        model["classes"].tolist(),
        model["nextmove"],
        model["out_feat"],
        norm_probs=True,
        tk_row=model["nextmove_row"].tolist(),
    )


def _unpacked() -> dict[str, NDArray[Any]]:
    """Return the model of the package out of files that all processes share.

    To unpack it takes half a second, and each process would hold 68 MB.
    """
    packed = MODEL_DIR / MODEL_FILE
    folder = program_cache() / f"langid-{version('py3langid')}-{packed.stat().st_size}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with (
            TemporaryDirectory(dir=folder.parent, ignore_cleanup_errors=True) as temporary,
            np.load(BytesIO(lzma.decompress(packed.read_bytes())), allow_pickle=False) as model,
        ):
            for name in model.files:
                np.save(Path(temporary) / name, model[name])
            try:
                Path(temporary).rename(folder)
            except OSError:
                if not folder.exists():  # else another process was first
                    raise
    return {
        path.stem: np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
        for path in folder.iterdir()
    }
