"""Which known word a wrong one was meant to be."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def nearest(wrong: str, known: Iterable[str]) -> str | None:
    """The known word that a wrong one comes closest to or begins, or None when none is close.

    Case, blanks around it, and whether words are joined by `-` or `_` do not count.
    """
    by_key = {_key(word): str(word) for word in known}
    found = difflib.get_close_matches(_key(wrong), list(by_key), n=1, cutoff=0.6)
    if not found and len(wrong) >= 3:
        found = [key for key in by_key if key.startswith(_key(wrong))]
    return by_key[found[0]] if found else None


def _key(word: str) -> str:
    return word.lower().replace("-", "_").strip()


def did_you_mean(wrong: str, known: Iterable[str]) -> str:
    """` Did you mean 'max_jobs'?`, or nothing."""
    found = nearest(wrong, known)
    return f" Did you mean {found!r}?" if found else ""
