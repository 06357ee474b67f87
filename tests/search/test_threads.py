"""The limit on BLAS threads, from whichever thread it is asked for."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
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


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library decides otherwise")
def test_memory_that_is_given_back_is_not_faulted_in_anew() -> None:
    code = """
import resource, sys
import numpy as np
from tunewright.search.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory()
def work():
    for array in [np.ones(50_000) for _ in range(8)]:
        array += 1.0
work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    faults = {}
    for how in ("keep", "leave"):
        command = [sys.executable, "-c", code, how]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        faults[how] = int(done.stdout)
    assert faults["keep"] < 0.1 * faults["leave"]
