"""The limit on BLAS threads, from whichever thread it is asked for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import scipy.linalg.lapack
from threadpoolctl import threadpool_info, threadpool_limits

from tunewright.search.threads import one_blas_thread


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Not the limit of the other tests here: three threads, asked for by the main one."""
    with threadpool_limits(3, user_api="blas"):
        yield


def counts() -> set[int]:
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


def aside(work: Callable[[], object]) -> object:
    found: list[object] = []
    thread = threading.Thread(target=lambda: found.append(work()))
    thread.start()
    thread.join()
    return found[0]


def limited() -> set[int]:
    with one_blas_thread():
        return counts()


def test_any_thread_is_limited_and_set_back() -> None:
    assert counts() == {3}
    assert [limited(), aside(limited), limited(), aside(limited)] == [{1}] * 4
    assert counts() == {3}


def test_the_limit_lasts_until_the_last_leaves() -> None:
    entered, left = threading.Event(), threading.Event()

    def first() -> None:
        with one_blas_thread():
            entered.set()
            left.wait(60)

    thread = threading.Thread(target=first)
    with one_blas_thread():
        thread.start()
        assert entered.wait(60)
    assert counts() == {1}
    left.set()
    thread.join()
    assert counts() == {3}


def test_whoever_limits_threads_otherwise_is_obeyed_afterwards() -> None:
    aside(limited)
    with threadpool_limits(2, user_api="blas"):
        assert counts() == {2}
    assert counts() == {3}


@pytest.mark.parametrize("size", [5, 33, 200])
def test_the_same_numbers_in_every_thread(size: int) -> None:
    place = np.linspace(0.0, 1.0, size)
    matrix = np.exp(-np.abs(place[:, None] - place)) + 1e-3 * np.eye(size)

    def inverse() -> bytes:
        with one_blas_thread():
            lower, _ = scipy.linalg.lapack.dpotrf(matrix, lower=1)
            return bytes(scipy.linalg.lapack.dpotri(lower, lower=1)[0].tobytes())

    assert aside(inverse) == inverse()
