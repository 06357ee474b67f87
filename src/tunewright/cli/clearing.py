"""Functions by value that no job refers to any more: found, and cleared away when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tunewright.core.reads import JobQuery, Reads
from tunewright.executors.clock import now
from tunewright.executors.functions.store import remove_function, stored_functions, unused_functions

KEPT_DAYS = 7
"""Functions are kept for so long after they were stored or called, whoever refers to them."""
PAGE = 100


def functions(home: Path, reads: Reads, *, clean: bool) -> Iterator[tuple[bool, str]]:
    """What there is to say of the functions in a home, and whether some could be removed; nothing where there are none.

    Args:
        clean: remove those that nobody needs first.
    """
    since = now() - KEPT_DAYS * 86400
    unused = unused_functions(home, _needed(reads), since)
    gone, size = len(unused), _size(unused)
    if clean:
        gone = sum([remove_function(path, since) for path in unused])
    kept = stored_functions(home)
    if not kept and not gone:
        return
    text = f"{len(kept)} kept by value, {_size(kept) / 1e6:.1f} MB"
    if clean:
        yield False, f"{text}; {gone} removed, {size / 1e6:.1f} MB"
    elif gone:
        which = f"{gone} of them ({size / 1e6:.1f} MB) belong to no job of this store, unused for {KEPT_DAYS} days"
        yield True, f"{text}; {which}; remove them with: tunewright doctor --clean"
    else:
        yield False, text


def _needed(reads: Reads) -> set[str]:
    """The functions by value of every tuning job, and of every training job without one."""
    found: set[str] = set()
    for tuning in (True, False):
        after: str | None = None
        while True:
            page = reads.jobs(JobQuery(tuning=tuning, limit=PAGE, after=after))
            specs = [view.job.spec for view in page.items]
            given = [each.training.function for spec in specs for each in spec.definitions]
            found |= {function.reference for function in given if function is not None and function.pickled}
            after = page.after
            if after is None:
                break
    return found


def _size(paths: list[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.exists())
