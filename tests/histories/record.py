"""Tuning jobs that were recorded once: how the files look, and how they are read.

A file holds a job's journal, and the rows that were stored at its end. `python tests/histories/write.py` writes
all of them anew; a recording that changes shows that the controller or a strategy decides otherwise than before.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tunewright.core.events import Created, Event
from tunewright.core.history import History
from tunewright.core.job import Job
from tunewright.core.machine import step
from tunewright.core.spec import JobSpec
from tunewright.core.trial import Trial
from tunewright.store.codec import Codec

HERE = Path(__file__).resolve().parent
EVENT: Codec[Event] = Codec(Event)
JOB: Codec[Job] = Codec(Job, without=("spec",))
TRIAL: Codec[Trial] = Codec(Trial)


@dataclass(frozen=True, slots=True)
class Moment:
    """A job and what a strategy may see of it, just before an event was committed."""

    job: Job | None
    history: History | None
    event: Event


@dataclass(frozen=True, slots=True)
class Recording:
    """Args:
    parents: recordings that a warm start began from.
    job, trials, curves: the rows as they were stored when the job had ended.
    """

    name: str
    parents: tuple[str, ...]
    journal: tuple[Event, ...]
    job: Job
    trials: tuple[Trial, ...]
    curves: dict[int, list[tuple[int, float]]] = field(default_factory=dict)

    @property
    def spec(self) -> JobSpec:
        first = self.journal[0]
        assert isinstance(first, Created)
        return first.spec

    def moments(self) -> Iterator[Moment]:
        """The journal, event by event; the history of a moment changes with the next one."""
        job: Job | None = None
        history: History | None = None
        for event in self.journal:
            yield Moment(job, history, event)
            change = step(job, event)
            job = change.job
            if history is None:
                history = History(job.spec, tuple(read(parent).history() for parent in self.parents))
            history.apply(change.facts)

    def history(self) -> History:
        """All that a strategy may see of the finished job, without its own parents."""
        job: Job | None = None
        history = History(self.spec)
        for event in self.journal:
            change = step(job, event)
            job = change.job
            history.apply(change.facts)
        return history

    def text(self) -> str:
        """The file: strict JSON, an event or a row a line."""
        lists = {
            "journal": [EVENT.dumps(event) for event in self.journal],
            "trials": [TRIAL.dumps(trial) for trial in self.trials],
            "curves": [json.dumps([number, points]) for number, points in self.curves.items()],
        }
        head = [f'"parents": {json.dumps(self.parents)}', f'"job": {JOB.dumps(self.job)}']
        body = [f'"{name}": [\n' + ",\n".join(rows) + "\n]" for name, rows in lists.items()]
        return "{\n" + ",\n".join(head + body) + "\n}\n"


def names() -> list[str]:
    return sorted(path.stem for path in HERE.glob("*.json"))


@cache
def read(name: str) -> Recording:
    found = json.loads((HERE / f"{name}.json").read_text(encoding="utf-8"))
    journal = tuple(EVENT.loads(json.dumps(event)) for event in found["journal"])
    first = journal[0]
    assert isinstance(first, Created)
    job = JOB.loads(json.dumps(found["job"]), spec=first.spec)
    trials = tuple(TRIAL.loads(json.dumps(trial)) for trial in found["trials"])
    curves = {number: [(epoch, value) for epoch, value in points] for number, points in found["curves"]}
    return Recording(name, tuple(found["parents"]), journal, job, trials, curves)
