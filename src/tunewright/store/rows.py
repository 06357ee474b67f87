"""Values of the heart as rows: what a batch of changes writes, and readers for single columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from tunewright.core.change import Change, CurvePoint
from tunewright.core.events import Event
from tunewright.core.history import Appeared
from tunewright.core.job import Job
from tunewright.core.ports import Owner
from tunewright.core.spec import JobSpec
from tunewright.core.trial import Trial
from tunewright.store.codec import Codec, mark_of

EVENT: Codec[Event] = Codec(Event)
SPEC: Codec[JobSpec] = Codec(JobSpec)
STATE: Codec[Job] = Codec(Job, without=("uid", "spec", "live", "paused"))
TRIAL: Codec[Trial] = Codec(Trial)
BRIEF: Codec[Trial] = Codec(Trial, without=("cursor", "verdict", "transitions", "note", "reason", "model"))
"""Reads what a history needs of a trial, and leaves the rest at its defaults."""
OWNER: Codec[Owner] = Codec(Owner)

Row = dict[str, object]

TUNING_JOB, TRAINING_JOB = "tuning job", "training job"
"""What is not found, or is there already, in the words of errors."""
MOST_SPECS = 128
"""Specifications that are kept in memory."""

SEQ_BITS = 24
"""Rows of one commit are numbered below 2 ** SEQ_BITS, those of the next commit above."""
_MOST = 2**63 - 1


def key_of(name: str) -> str:
    """A name as it is compared."""
    return name.lower()


@lru_cache(maxsize=1024)
def metric_in(metric: str) -> str:
    """A metric's name as text that every database takes, whatever a training program called it."""
    return json.dumps(metric)[1:-1]


def metric_out(text: str) -> str:
    return str(json.loads(f'"{text}"')) if "\\" in text else text


def value_out(value: float | None, mark: str | None) -> float:
    if mark is not None:
        return float(mark)
    assert value is not None, "a value is a number or has a mark"
    return value


def job_row(job: Job, version: int) -> Row:
    return {
        "uid": job.uid,
        "name_key": key_of(job.name),
        "tuning": job.spec.tuning,
        "created": job.created,
        "status": job.status.value,
        "running": not job.status.terminal,
        "updated": job.updated,
        "version": version,
        "state": STATE.dumps(job),
    }


def trial_row(uid: str, trial: Trial, modified: float) -> Row:
    return {
        "job_uid": uid,
        "number": trial.number,
        "name_key": key_of(trial.name),
        "created": trial.created,
        "status": trial.status.shown.value,
        "live": trial.status.live,
        "attempt": trial.origin,
        "modified": modified,
        "final": trial.value,
        "body": TRIAL.dumps(trial),
    }


def _point_row(uid: str, seen: CurvePoint, seq: int) -> Row:
    mark = mark_of(seen.value)
    return {
        "job_uid": uid,
        "number": seen.number,
        "attempt": seen.attempt,
        "epoch": None if seen.epoch is None else max(-_MOST, min(_MOST, seen.epoch)),
        "seq": seq,
        "metric": metric_in(seen.metric),
        "value": None if mark else seen.value,
        "mark": mark,
        "at": seen.at,
    }


def event_rows(uid: str, events: Sequence[Event], first: int) -> list[Row]:
    return [{"job_uid": uid, "seq": first + place, "body": EVENT.dumps(event)} for place, event in enumerate(events)]


def tag_rows(uid: str, number: int, tags: Mapping[str, str]) -> list[Row]:
    return [{"job_uid": uid, "number": number, "key": key, "value": value} for key, value in tags.items()]


@dataclass(frozen=True, slots=True)
class Batch:
    """What a batch of changes writes, as rows.

    Args:
        appeared: trials that did not exist before.
        moved: trials that go on.
        ended: trials that were live before and are not any more.
        curve: objective values; a later one at the same epoch replaces.
        points: all other values.
        journal: the events.
    """

    job: Row
    appeared: list[Row]
    moved: list[Row]
    ended: list[Row]
    curve: list[Row]
    points: list[Row]
    journal: list[Row]

    @classmethod
    def of(cls, version: int, changes: Sequence[Change], events: Sequence[Event]) -> Batch:
        """The rows that make `version` out of the one before."""
        job = changes[-1].job
        first = version << SEQ_BITS
        new = {fact.number for change in changes for fact in change.facts if isinstance(fact, Appeared)}
        latest = {trial.number: (trial, change.job.updated) for change in changes for trial in change.trials}
        appeared: list[Row] = []
        moved: list[Row] = []
        ended: list[Row] = []
        for trial, modified in latest.values():
            rows = appeared if trial.number in new else moved if trial.status.live else ended
            rows.append(trial_row(job.uid, trial, modified))
        curve: list[Row] = []
        points: list[Row] = []
        emitted = [seen for change in changes for seen in change.points]
        for place, seen in enumerate(emitted):
            (curve if seen.objective else points).append(_point_row(job.uid, seen, first + place))
        journal = event_rows(job.uid, events, first)
        return cls(job_row(job, version), appeared, moved, ended, curve, points, journal)
