"""Memory that is given back is kept by the process: to have it anew costs more than what is done in it."""

from __future__ import annotations

import numpy as np

LARGEST = 8 << 20
"""Bytes of the largest array that proposals work with, a thousand rows by some hundred results."""


def keep_freed_memory() -> None:
    """Have the C library keep what is freed, up to twice `LARGEST` bytes, for the arrays that come next.

    glibc returns large blocks to the system and gets them anew, a page at a time. Where its limits for that lie it
    learns from the largest block that was freed (`mallopt(3)`, M_MMAP_THRESHOLD): one that nobody uses will do.
    Elsewhere nothing happens.
    """
    np.empty(LARGEST, dtype=np.uint8)
