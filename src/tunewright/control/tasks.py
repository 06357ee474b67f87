"""From a trial to the task that an executor runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tunewright.core.job import Job
from tunewright.core.ports import Task
from tunewright.core.replicates import replicate_of
from tunewright.core.spec import OBJECTIVE_KEY, Training
from tunewright.core.trial import Trial

REPLICATE = "TUNEWRIGHT_REPLICATE"
"""The variable that holds a training job's number among those of its configuration, from 1."""


def hyperparameters(job: Job, trial: Trial) -> dict[str, str]:
    """What the training program is given: static values, tuned ones, and the objective's name (AMT)."""
    definition = job.spec.definitions[trial.definition]
    tuned = definition.space.texts(trial.point) if job.spec.tuning else {}
    named = {OBJECTIVE_KEY: definition.objective.metric} if definition.objective else {}
    return {**definition.training.static, **tuned, **named}


def training_of(job: Job, trial: Trial, choice: int) -> Training:
    """How to train on a choice of instances; with replicates the program is told which of them it is, for its seed."""
    training = job.spec.definitions[trial.definition].training.chosen(choice)
    if job.spec.replicates == 1:
        return training
    place = str(replicate_of(trial.number, job.spec.replicates))
    return replace(training, environment={**training.environment, REPLICATE: place})


def make_task(job: Job, trial: Trial, arn: Callable[[str], str], region: str) -> Task:
    """The task of a trial's current attempt on the instances of its choice; `arn` gives an ARN by name."""
    definition = job.spec.definitions[trial.definition]
    checkpoints = definition.training.checkpoint_uri
    if checkpoints is not None and job.spec.tuning:
        checkpoints = f"{checkpoints.rstrip('/')}/{trial.name}"
    return Task(
        job=job.name,
        name=trial.name,
        attempt=trial.attempt,
        number=trial.number,
        training=training_of(job, trial, trial.choice),
        hyperparameters=hyperparameters(job, trial),
        objective=definition.objective.metric if definition.objective else "",
        grace=job.spec.stop_grace,
        arn=arn(trial.name),
        region=region,
        checkpoint_uri=checkpoints,
        uid=job.uid,
    )
