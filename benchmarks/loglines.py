"""What a log with very many objective lines costs: read by a training job's patterns, folded and stored.

    python -m benchmarks.loglines [--lines 300000]

CPU seconds of this process per million lines, so that other work on the machine counts little: `scrape` is finding
the values, `fold` is what the job makes of them, `commit` is writing them.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from benchmarks.store import TickingClock, begin, make_spec
from tunewright.control.metrics import CHUNK, Scraper
from tunewright.control.recorder import Recorder, fold
from tunewright.core.events import Reported
from tunewright.core.trial import Cursor
from tunewright.store.store import open_store


def log_of(lines: int) -> bytes:
    dice = random.Random(0)
    return b"".join(b"step %d loss=%.5f\n" % (step, dice.random()) for step in range(lines))


def chunks(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Where each pass over the log begins and what it is given, all of it whole lines."""
    at = 0
    while at < len(data):
        end = data.rfind(b"\n", at, at + CHUNK) + 1
        yield at, data[at:end]
        at = end


def run(lines: int, directory: Path) -> dict[str, float]:
    store = open_store(f"sqlite:///{directory / 'lines.db'}")
    recorder = Recorder(store, TickingClock(), lambda _seconds: None)
    spec = make_spec()
    stored = recorder.create(spec)
    recorder.record(stored.job.uid, begin(recorder.clock.now(), 1))
    stored = store.load(stored.job.uid)
    job, version = stored.job, stored.version
    scraper = Scraper(spec.definitions[0].training.metrics, "loss", judged=True)
    spent = [0.0, 0.0, 0.0]
    for at, data in chunks(log_of(lines)):
        marks = [time.process_time()]
        found, consumed = scraper.log(data, 1.0, final=False)
        marks.append(time.process_time())
        event = Reported(1e9, 1, 1, Cursor(at), Cursor(at + consumed), tuple(found))
        moves = fold(job, [event])
        marks.append(time.process_time())
        version = store.commit(version, [change for _, change in moves], [event])
        marks.append(time.process_time())
        job = moves[-1][1].job
        spent = [total + after - before for total, (before, after) in zip(spent, pairwise(marks), strict=True)]
    assert job.live[1].epoch == lines, "every line counts"
    store.close()
    return dict(zip(("scrape", "fold", "commit"), (round(each * 1e6 / lines, 2) for each in spent), strict=True))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--lines", type=int, default=300_000)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        print(json.dumps(run(given.lines, Path(directory))))


if __name__ == "__main__":
    main()
