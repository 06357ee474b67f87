"""A short run of the fuzzer against a server process; `python -m benchmarks.fuzz_service` is the long one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("seed", [2, 3])
def test_the_service_answers_whatever_is_sent(seed: int) -> None:
    command = [sys.executable, "-m", "benchmarks.fuzz_service", "--count", "3000", "--seed", str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
