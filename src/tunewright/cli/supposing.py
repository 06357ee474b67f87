"""`replay --early-stopping`: what another rule of stopping would have done to a finished job, in words and as JSON."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from tunewright.aws.sagemaker.rules import MAX_RESOURCE_KEYS, inferred_max_resource
from tunewright.cli.names import counted
from tunewright.cli.out import table
from tunewright.cli.story import direction
from tunewright.control.whatif import Course, WhatIf, what_if
from tunewright.core.errors import Invalid
from tunewright.core.job import Job
from tunewright.core.reads import Reads
from tunewright.core.spec import Hyperband, JobSpec, Strategy
from tunewright.sdk.phrases import duration
from tunewright.sdk.values import short

OPTION = "--early-stopping"
_RULES = "Auto, Off, hyperband, or hyperband(MIN,MAX) such as 'hyperband(1,27)'"
_CALL = re.compile(r"hyperband(?:\(\s*(?:min\s*=\s*)?(\d{1,9})\s*,\s*(?:max\s*=\s*)?(\d{1,9})\s*\))?", re.IGNORECASE)


def rule_of(text: str, spec: JobSpec) -> JobSpec:
    """A job's specification with the rule that `text` names in the place of its own.

    Raises:
        Invalid: the text names no rule, or Hyperband's bounds are missing or the wrong way round.
    """
    # What would have gone on after a pause is not recorded: Hyperband is supposed as it stops.
    options = {name: value for name, value in spec.options.items() if name not in ("strategy", "hyperband_mode")}
    plain = Strategy.RANDOM if spec.strategy is Strategy.HYPERBAND else spec.strategy
    bare = replace(spec, strategy=plain, early_stopping=False, hyperband=None, options=options)
    word = text.strip()
    if word.lower() in ("auto", "off"):
        return replace(bare, early_stopping=word.lower() == "auto")
    call = _CALL.fullmatch(word)
    if call is None:
        raise Invalid.one(OPTION, f"{text!r} is not a rule; use {_RULES}.")
    hyperband = Hyperband(int(call[1]), int(call[2])) if call[1] else _own_bounds(spec)
    least, most = hyperband.min_resource, hyperband.max_resource
    if least < 1 or most is None or most < least:
        raise Invalid.one(OPTION, f"hyperband({least},{most}): the epochs must be 1 <= MIN <= MAX.")
    return replace(bare, strategy=Strategy.HYPERBAND, hyperband=hyperband)


def _own_bounds(spec: JobSpec) -> Hyperband:
    """The bounds that the job has, or that AMT would infer from its static hyperparameters."""
    if spec.hyperband is not None and spec.hyperband.max_resource is not None:
        return spec.hyperband
    inferred = [inferred_max_resource(definition.training.static) for definition in spec.definitions]
    if most := max((found for found in inferred if found is not None), default=None):
        return Hyperband(1, most)
    raise Invalid.one(
        OPTION,
        "hyperband needs the epochs of a full training job, which this job does not name "
        f"(as {', '.join(MAX_RESOURCE_KEYS)}); say them, such as 'hyperband(1,27)'.",
    )


def name_of(spec: JobSpec) -> str:
    """A rule's name, as the option takes it."""
    if spec.strategy is Strategy.HYPERBAND:
        bounds = spec.resources
        how = ", by promotion" if spec.promotes else ""
        return f"hyperband({bounds.min_resource},{bounds.max_resource}){how}"
    return "Auto" if spec.early_stopping else "Off"


def supposed(reads: Reads, job: Job, text: str) -> Supposed:
    """What a rule would have done to a job.

    Raises:
        Invalid: the job still runs, or the text names no rule.
    """
    if not job.status.terminal:
        raise Invalid.one(
            OPTION,
            f"{job.name} is {job.status}, and only a finished job can be replayed under another rule. "
            f"Wait for its end (tunewright watch {job.name}) or stop it (tunewright stop {job.name}).",
        )
    from tunewright.search.advisor import Engine

    spec = rule_of(text, job.spec)
    found = what_if(reads.journal(job.uid), spec, Engine() if spec.judged else None)
    return Supposed(job, name_of(spec), name_of(job.spec), found)


@dataclass(frozen=True, slots=True)
class Supposed:
    """A job, the rule asked for, the rule in force, and both courses."""

    job: Job
    rule: str
    in_force: str
    found: WhatIf

    # ---- words ----

    def lines(self) -> list[str]:
        stopped, jobs = self.found.stopped, counted(len(self.found.recorded), "training job")
        cut = sum(course.verdict is not None for course in self.found.recorded.values())
        head = (
            f"{self.job.name} under {self.rule}: {len(stopped)} of {jobs} would have been stopped "
            f"(it ran under {self.in_force}, which stopped {cut})."
        )
        return [head, *self._table(), self._saved(), *self._lost(), *self.notes()]

    def _table(self) -> list[str]:
        rows = [
            (
                self.found.names[course.number],
                f"{course.epoch} of {self.found.recorded[course.number].epoch}",
                duration(course.seconds),
                course.verdict.why if course.verdict is not None else "",
            )
            for course in self.found.stopped
        ]
        return ["", *table(("TRAINING JOB", "EPOCH", "AFTER", "WHY"), rows), ""] if rows else []

    def _saved(self) -> str:
        recorded = self.found.recorded.values()
        epochs, seconds = sum(c.epoch for c in recorded), sum(c.seconds for c in recorded)
        saved, spared = self.found.epochs_saved(), self.found.seconds_saved()
        return (
            f"Saved: {saved} of {epochs} epochs{_share(saved, epochs)}, "
            f"about {duration(spared)} of {duration(seconds)} of training{_share(spared, seconds)}."
        )

    def _lost(self) -> list[str]:
        truth, best, regret = self.found.best_recorded, self.found.best_supposed, self.found.regret
        if truth is None:
            return ["No training job has a value that counts, so nothing could be lost."]
        name, value = self.found.names[truth.number], short(truth.value or 0.0)
        course = self.found.supposed[truth.number]
        if course.verdict is None:
            return [f"Lost: nothing; the best, {name} with {value}, would have run as it did."]
        text = f"The best, {name} with {value}, would have been stopped at epoch {course.epoch} of {truth.epoch}"
        if best is None or best.value is None or regret is None:
            return [f"Lost: everything. {text}, and no training job would have had a value that counts."]
        if not regret:
            return [f"Lost: nothing. {text}, and the best would still have been {short(best.value)}."]
        worse = f"the best would have been {short(best.value)} by {self.found.names[best.number]}"
        return [f"Lost: {short(regret)}. {text}; {worse}."]

    def notes(self) -> list[str]:
        """What the figures do not know."""
        found, said = self.found, []
        if found.unknown:
            names = ", ".join(found.names[number] for number in found.unknown[:3])
            more = f" and {len(found.unknown) - 3} more" if len(found.unknown) > 3 else ""
            said.append(
                f"Note: {names}{more} would have gone on where the run stopped them; "
                "what they would have reached is not recorded."
            )
        if found.recorded and max(course.epoch for course in found.recorded.values()) < 2:
            said.append("Note: no training job emitted its objective twice; rules that stop need a value each epoch.")
        if found.stopped:
            said.append("Note: training jobs that would have run in the time saved are not guessed at.")
        return said

    # ---- JSON ----

    def shape(self) -> dict[str, object]:
        found = self.found
        recorded = found.recorded.values()
        truth = found.best_recorded
        return {
            "HyperParameterTuningJobName": self.job.name,
            "Rule": self.rule,
            "RecordedRule": self.in_force,
            "Objective": str(direction(self.job.spec)),
            "TrainingJobs": len(found.recorded),
            "Stopped": [self._stop(course) for course in found.stopped],
            "Epochs": {"Recorded": sum(c.epoch for c in recorded), "Saved": found.epochs_saved()},
            "Seconds": {"Recorded": sum(c.seconds for c in recorded), "Saved": found.seconds_saved()},
            "Best": {
                "Recorded": self._best(truth),
                "UnderRule": self._best(found.best_supposed),
                "Stopped": truth is not None and found.supposed[truth.number].verdict is not None,
                "Regret": found.regret,
            },
            "WouldHaveGoneOn": [found.names[number] for number in found.unknown],
            "Notes": [note.removeprefix("Note: ") for note in self.notes()],
        }

    def _stop(self, course: Course) -> dict[str, object]:
        truth, verdict = self.found.recorded[course.number], course.verdict
        assert verdict is not None, "only stopped training jobs are shown"
        return {
            "TrainingJobName": self.found.names[course.number],
            "Epoch": course.epoch,
            "Seconds": course.seconds,
            "Value": verdict.value,
            "Threshold": verdict.threshold,
            "Cause": str(verdict.cause),
            "Why": verdict.why,
            "RecordedEpoch": truth.epoch,
            "RecordedSeconds": truth.seconds,
            "RecordedValue": truth.value,
        }

    def _best(self, course: Course | None) -> dict[str, object] | None:
        return None if course is None else {"TrainingJobName": self.found.names[course.number], "Value": course.value}


def _share(part: float, whole: float) -> str:
    return f" ({part / whole:.0%})" if whole > 0 else ""
