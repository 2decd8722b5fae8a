"""Pictures of PDF pages, which are left out; text in them needs to be recognised first."""

from collections.abc import Sequence
from typing import Any

from pipeline.documents.left_out import leave_out

NEEDS_OCR = "run `ocrmypdf` on the file first: it adds the text that the pictures show"


def count_pictures(page: Any) -> int:
    """Return the pictures that a page shows."""
    from pypdfium2.raw import (
        FPDF_PAGEOBJ_IMAGE,
        FPDFPage_CountObjects,
        FPDFPage_GetObject,
        FPDFPageObj_GetType,
    )

    kinds = (
        FPDFPageObj_GetType(FPDFPage_GetObject(page, number))
        for number in range(FPDFPage_CountObjects(page))
    )
    return sum(kind == FPDF_PAGEOBJ_IMAGE for kind in kinds)


def note_pictures(pictures: Sequence[int], have_text: Sequence[bool]) -> list[int]:
    """Note the pictures of pages, and return the numbers of the pages that are nothing else."""
    scanned = [
        number
        for number, (count, text) in enumerate(zip(pictures, have_text, strict=True), start=1)
        if count and not text
    ]
    leave_out("needs_ocr", len(scanned), _ranges(scanned))
    leave_out(
        "pictures", sum(count for count, text in zip(pictures, have_text, strict=True) if text)
    )
    return scanned


def _ranges(numbers: Sequence[int]) -> str:
    """Return numbers as a person writes those of pages: ``1-3, 7``."""
    known = set(numbers)
    starts = [number for number in numbers if number - 1 not in known]
    ends = [number for number in numbers if number + 1 not in known]
    pairs = zip(starts, ends, strict=True)
    return ", ".join(f"{first}" if first == last else f"{first}-{last}" for first, last in pairs)
