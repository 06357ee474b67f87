"""Numbers are computed as in production: with one BLAS thread."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tunewright.search.threads import one_blas_thread


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    with one_blas_thread():
        yield
