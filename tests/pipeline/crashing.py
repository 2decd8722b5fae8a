"""Functions for worker processes that go wrong on certain items."""

import ctypes
import os
import re
import time

FLOOD = 64 * 2**20


def square(number: int) -> int:
    return number * number


def backwards(text: str) -> str:
    return text[::-1]


def slow_first(text: str, first: str, seconds: float, seen: list[str] = []) -> str:  # noqa: B006
    """Return the text, the first one of the process late."""
    if text == first and not seen:
        time.sleep(seconds)
    seen.append("")
    return text


def go_wrong(number: int, fates: dict[int, str]) -> int:
    """Return the number, or meet its fate."""
    match fates.get(number):
        case "exit":
            os._exit(9)
        case "segfault":
            ctypes.string_at(0)
        case "hang":  # holds the interpreter's lock for years
            re.match(r"(a+)+$", "a" * 60 + "b")
        case "sleep":
            time.sleep(3600)
        case "flood":
            bytes(10**12)
        case "native flood":  # of a C library, which then aborts
            malloc = ctypes.CDLL(None).malloc
            malloc.restype = ctypes.c_void_p
            while block := malloc(FLOOD):
                ctypes.memset(block, 1, FLOOD)
            os.abort()
        case "raise":
            raise ValueError("no such thing")
        case "quit":
            raise SystemExit(3)
    return number


def leak(number: int, held: list[bytearray] = []) -> int:  # noqa: B006
    """Keep 40 MB for each item: the process dies of what came before."""
    held.append(bytearray(40 * 10**6))
    return number


def loaded(names: list[str]) -> list[str]:
    """Return which modules the worker has."""
    import sys

    return [name for name in names if name in sys.modules]
