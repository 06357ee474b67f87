"""What was asked for: a job's specification, checked once and never changed afterwards."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from tunewright.core.space import Point, Space

OBJECTIVE_KEY = "_tuning_objective_metric"
"""The hyperparameter in which AMT tells a training program the objective's name."""

IDENTICAL, TRANSFER = "IdenticalDataAndAlgorithm", "TransferLearning"
"""AMT's types of warm start: parents' results count as the job's own, or say what may be expected of it."""


class Strategy(StrEnum):
    """AMT's Strategy."""

    BAYESIAN = "Bayesian"
    RANDOM = "Random"
    GRID = "Grid"
    HYPERBAND = "Hyperband"


class Direction(StrEnum):
    """AMT's type of an objective."""

    MAXIMIZE = "Maximize"
    MINIMIZE = "Minimize"


@dataclass(frozen=True, slots=True)
class Objective:
    """The metric that counts, and whether more or less of it is better."""

    metric: str
    direction: Direction

    def better(self, one: float, other: float) -> bool:
        """Whether `one` is strictly better than `other`; both finite."""
        return one > other if self.direction is Direction.MAXIMIZE else one < other

    def reaches(self, value: float, target: float) -> bool:
        """Whether `value` is as good as `target`, or better."""
        return value >= target if self.direction is Direction.MAXIMIZE else value <= target


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may be spent.

    Args:
        max_jobs: training jobs in all; None runs until another criterion, or the quota.
        max_parallel: training jobs at the same time.
        max_runtime: seconds of wall clock for the tuning job, or None.
    """

    max_parallel: int = 1
    max_jobs: int | None = None
    max_runtime: float | None = None


@dataclass(frozen=True, slots=True)
class Completion:
    """When to end before the limits are used up; each criterion is off while None or False."""

    target: float | None = None
    not_improving: int | None = None
    on_convergence: bool = False


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """A metric's name and the regular expression whose first group is its value in a line of the log."""

    name: str
    regex: str


@dataclass(frozen=True, slots=True)
class Channel:
    """One input of a training job.

    Args:
        name: the directory's name under input/data.
        uri: `s3://...` or, in extended mode, `file:///...`.
        data_type: `S3Prefix`, `ManifestFile` or `AugmentedManifestFile`.
        distribution: `FullyReplicated`, or `ShardedByS3Key` over the hosts.
        groups: the instance groups that it is for; none is all.
        attributes: what an augmented manifest's lines are to give, in order.
        seed: shuffles the order in which Pipe mode gives the files, anew for each epoch; None keeps it.
    """

    name: str
    uri: str
    data_type: str = "S3Prefix"
    distribution: str = "FullyReplicated"
    input_mode: str = "File"
    content_type: str | None = None
    compression: str = "None"
    record_wrapper: str = "None"
    groups: tuple[str, ...] = ()
    attributes: tuple[str, ...] = ()
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class InstanceGroup:
    """Hosts of one kind in a training job with several kinds."""

    name: str
    kind: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Function:
    """A Python function to train with: importable as `module:name`, or a pickle this user's own client stored.

    Args:
        reference: `package.module:name`, or the SHA-256 (hex) of a pickle in the home's function directory.
        pickled: which of the two.
        path: directories put in front of `sys.path` in the worker.
    """

    reference: str
    pickled: bool = False
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Instances:
    """So many hosts of one instance type."""

    kind: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Training:
    """What to run for one training job, and under which conditions.

    Args:
        image: AMT's TrainingImage, or None when `algorithm` is given.
        metrics: what to read from the log.
        channels: inputs.
        output_path: where `<training job>/output/model.tar.gz` goes (`s3://` or `file://`).
        static: hyperparameters that do not vary, as strings, without our own extension keys.
        environment: variables for the program.
        max_runtime: seconds for one training job over all attempts, or None.
        max_wait: seconds for one training job from its creation, waiting and interruptions included, or None.
        instance_count: hosts; each is a process of its own.
        instance_groups: hosts of several kinds, in place of type and count.
        alternatives: instances to try, in this order, while there is no capacity for the first.
        spot: managed spot training: what interrupts the program is shown as an interruption.
        retries: further attempts after an infrastructure error.
        isolated: the program has no network but its own hosts.
        entrypoint, arguments: a plain training job's own command (ContainerEntrypoint, ContainerArguments).
        python: interpreter that runs a script; None is the one Tunewright runs in.
        function: a Python function instead of a script.
        cpus, gpus: slots that each host takes while the training job runs.
    """

    image: str | None = None
    algorithm: str | None = None
    input_mode: str = "File"
    metrics: tuple[MetricDefinition, ...] = ()
    channels: tuple[Channel, ...] = ()
    output_path: str = ""
    compression: str = "GZIP"
    static: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    instance_type: str | None = None
    instance_count: int = 1
    instance_groups: tuple[InstanceGroup, ...] = ()
    alternatives: tuple[Instances, ...] = ()
    max_runtime: float | None = None
    max_wait: float | None = None
    spot: bool = False
    retries: int = 0
    isolated: bool = False
    checkpoint_uri: str | None = None
    checkpoint_path: str = "/opt/ml/checkpoints"
    entrypoint: tuple[str, ...] = ()
    arguments: tuple[str, ...] = ()
    python: str | None = None
    function: Function | None = None
    cpus: int = 1
    gpus: int = 0

    def chosen(self, choice: int) -> Training:
        """The same on the instances of `alternatives[choice - 1]` alone; 0 is the first choice."""
        if not self.alternatives:
            return self
        one = (Instances(self.instance_type or "", self.instance_count), *self.alternatives)[choice]
        return replace(self, instance_type=one.kind, instance_count=one.count, alternatives=())

    @property
    def hosts(self) -> int:
        """How many hosts the training job runs on; a Python function runs on one."""
        counts = [group.count for group in self.instance_groups] or [self.instance_count]
        return 1 if self.function is not None else sum(max(1, count) for count in counts)

    @property
    def host_names(self) -> list[str]:
        """The hosts by name, in order of their numbers."""
        return [f"algo-{number}" for number in range(1, self.hosts + 1)]


@dataclass(frozen=True, slots=True)
class Definition:
    """One algorithm of a job: its space, its objective and how to train it.

    Args:
        initial: points to try first; each may leave parameters to the strategy.
    """

    space: Space
    objective: Objective | None
    training: Training
    name: str | None = None
    initial: tuple[Point, ...] = ()


@dataclass(frozen=True, slots=True)
class Hyperband:
    """Resources are objective emissions (epochs); `max_resource` None means it could not be inferred."""

    min_resource: int = 1
    max_resource: int | None = None


@dataclass(frozen=True, slots=True)
class WarmStart:
    """AMT's WarmStartType and the names of one to five parents."""

    type: str
    parents: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JobSpec:
    """A tuning job, or with `strategy=None` a plain training job (a Job of one trial).

    Args:
        name: the job's name; prefix of its training jobs' names.
        definitions: one or more algorithms.
        seed: always set; drawn at creation when the user gave none.
        strict: AMT to the letter, or extended.
        request: the accepted AMT request as JSON text, from which Describe answers.
        options: extended features by name, each as JSON text (`hyperband_proposals`, ...).
        stop_grace: seconds between SIGTERM and SIGKILL.
    """

    name: str
    definitions: tuple[Definition, ...]
    strategy: Strategy | None = Strategy.BAYESIAN
    limits: Limits = Limits()
    completion: Completion = Completion()
    early_stopping: bool = False
    hyperband: Hyperband | None = None
    warm_start: WarmStart | None = None
    seed: int = 0
    strict: bool = False
    request: str = "{}"
    options: Mapping[str, str] = field(default_factory=dict)
    stop_grace: float = 30.0

    @property
    def tuning(self) -> bool:
        """Whether this is a tuning job rather than a plain training job."""
        return self.strategy is not None

    @property
    def sign(self) -> float:
        """+1 when less is better, -1 when more is: sign times an objective is minimised. All definitions share it."""
        objective = self.definitions[0].objective
        return -1.0 if objective is not None and objective.direction is Direction.MAXIMIZE else 1.0

    @property
    def resources(self) -> Hyperband:
        """Hyperband's range of epochs; from 1 on and without an end where nobody has said."""
        return self.hyperband or Hyperband()

    @property
    def replicates(self) -> int:
        """How many training jobs each configuration gets."""
        told = self.options.get("replicates")
        return 1 if told is None else int(json.loads(told))

    @property
    def keep_best(self) -> int | None:
        """How many training jobs' models are kept; None keeps all."""
        told = self.options.get("keep_best")
        return None if told is None else int(json.loads(told))

    @property
    def promotes(self) -> bool:
        """Whether Hyperband pauses training jobs at a rung, to resume the best from their checkpoints."""
        told = self.options.get("hyperband_mode")
        asked = told is not None and json.loads(told) == "promotion"
        return asked and self.strategy is Strategy.HYPERBAND and not self.strict

    @property
    def judged(self) -> bool:
        """Whether running trials are judged while they report."""
        return self.early_stopping or self.strategy is Strategy.HYPERBAND
