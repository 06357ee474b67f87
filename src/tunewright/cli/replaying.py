"""Folding a journal again: the events of a job, through the state machine, give the stored rows."""

from __future__ import annotations

from dataclasses import dataclass, fields

from tunewright.core.events import Created
from tunewright.core.job import Job
from tunewright.core.machine import step
from tunewright.core.reads import Reads
from tunewright.core.trial import Trial

SHOWN = 20


@dataclass(frozen=True, slots=True)
class Replayed:
    """What folding a journal gave.

    Args:
        events: how many there were.
        trials: how many training jobs they made.
        differences: where the stored rows differ, in words.
    """

    events: int
    trials: int
    differences: tuple[str, ...]

    def lines(self, name: str) -> list[str]:
        head = f"{name}: {self.events} events give {self.trials} training jobs"
        if not self.differences:
            return [f"{head}, exactly as they are stored."]
        more = len(self.differences) - SHOWN
        said = [f"{head}, but the stored rows differ:", *(f"  {text}" for text in self.differences[:SHOWN])]
        return [*said, f"  ... and {more} more"] if more > 0 else said

    def shape(self, name: str) -> dict[str, object]:
        return {
            "HyperParameterTuningJobName": name,
            "Events": self.events,
            "TrainingJobs": self.trials,
            "Agrees": not self.differences,
            "Differences": list(self.differences),
        }


def replayed(reads: Reads, job: Job) -> Replayed:
    """Fold a job's journal and compare it with what is stored."""
    events = reads.journal(job.uid)
    folded: Job | None = None
    trials: dict[int, Trial] = {}
    for event in events:
        if folded is None and not isinstance(event, Created):
            return Replayed(len(events), 0, ("the journal does not begin with the job's creation",))
        change = step(folded, event)
        folded = change.job
        trials |= {trial.number: trial for trial in change.trials}
    if folded is None:
        return Replayed(0, 0, ("the journal is empty",))
    stored = {view.trial.number: view.trial for view in reads.all_trials(job.uid, deleted=True)}
    current = reads.job(job.name).job
    if current != job:
        # The job moved between the reads: compare what both have.
        return replayed(reads, current)
    differences = _differences("the job", folded, job)
    for number in sorted(trials.keys() | stored.keys()):
        if number not in stored or number not in trials:
            where = "the journal" if number not in trials else "the rows"
            differences.append(f"training job {number} is missing in {where}")
        else:
            differences += _differences(trials[number].name, trials[number], stored[number])
    return Replayed(len(events), len(trials), tuple(differences))


def _differences(what: str, folded: Job | Trial, stored: Job | Trial) -> list[str]:
    if folded == stored:
        return []
    found = []
    for field in fields(folded):
        ours, theirs = getattr(folded, field.name), getattr(stored, field.name)
        if ours != theirs and repr(ours) != repr(theirs):
            found.append(f"{what}: {field.name} is {_short(theirs)}, the journal gives {_short(ours)}")
    return found


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
