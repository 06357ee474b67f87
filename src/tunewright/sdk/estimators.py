"""What all estimators share: what goes into a training job's definition, a plain training job, and its results."""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Self, TypeAlias

from tunewright.aws.sagemaker.extension import pack
from tunewright.core.errors import Invalid, Problem
from tunewright.core.space import Value
from tunewright.core.spec import OBJECTIVE_KEY
from tunewright.sdk import inputs as channels
from tunewright.sdk.analytics import TrainingJobAnalytics
from tunewright.sdk.arguments import pairs, whole_problems
from tunewright.sdk.errors import InvalidArguments, NotStarted
from tunewright.sdk.extensions import join_extension
from tunewright.sdk.inputs import Inputs
from tunewright.sdk.names import check_name, fresh_name
from tunewright.sdk.session import Client, Session
from tunewright.sdk.shapes import Shape
from tunewright.sdk.training import TrainingJob
from tunewright.sdk.values import decode_hyperparameter, encode_hyperparameters

Tags: TypeAlias = Sequence[Mapping[str, str]] | Mapping[str, str]
MetricDefinitions: TypeAlias = Sequence[Mapping[str, str]] | Mapping[str, str]

ROLE = "arn:aws:iam::000000000000:role/tunewright"
LOCAL_INSTANCE = "ml.m5.large"
HIDDEN = ("sagemaker_", OBJECTIVE_KEY)


def tag_list(tags: Tags | None) -> list[Shape]:
    """Tags as AMT wants them, from a list of Key and Value or from a dictionary. Raises InvalidArguments."""
    return pairs("tags", tags, ("Key", "Value"))


def metric_list(metrics: MetricDefinitions | None) -> list[Shape]:
    """MetricDefinitions as AMT wants them, from a list of Name and Regex or from a dictionary.

    Raises:
        InvalidArguments: they are of another form.
    """
    return pairs("metric_definitions", metrics, ("Name", "Regex"))


class EstimatorBase(ABC):
    """Something that can be trained: what every kind of estimator has.

    Args:
        hyperparameters: values that do not vary; numbers, text, booleans or JSON.
        metric_definitions: a list of `{"Name": ..., "Regex": ...}`, or a dictionary of name to regular expression.
        environment: variables for the program.
        output_path: where models go: a local directory, `file://` or `s3://`.
        base_job_name: what the names of its jobs begin with.
        instance_count, instance_type: AMT's; `local` is this machine.
        max_run: seconds that one training job may take, or None.
        checkpoint_s3_uri, checkpoint_local_path: where checkpoints are kept, and the directory they appear in.
        max_retry_attempts: further attempts after an infrastructure error.
        cpus, gpus: slots that one training job takes on this machine.
        role: an IAM role's ARN; one of ours when it is None.
        tags: a list of Key and Value, or a dictionary.
        strict, client, session: how jobs are created; see `tunewright.client`.
    """

    image = ""

    def __init__(
        self,
        *,
        hyperparameters: Mapping[str, object] | None = None,
        metric_definitions: MetricDefinitions | None = None,
        environment: Mapping[str, str] | None = None,
        output_path: str | os.PathLike[str] | None = None,
        base_job_name: str | None = None,
        instance_count: int = 1,
        instance_type: str = "local",
        volume_size: int = 30,
        input_mode: str = "File",
        max_run: int | None = None,
        checkpoint_s3_uri: str | None = None,
        checkpoint_local_path: str | None = None,
        max_retry_attempts: int | None = None,
        cpus: int = 1,
        gpus: int = 0,
        role: str | None = None,
        tags: Tags | None = None,
        strict: bool = False,
        client: Client | None = None,
        session: Session | None = None,
    ) -> None:
        self.fixed = dict(hyperparameters or {})
        self.metric_definitions = metric_list(metric_definitions)
        self.environment = {str(name): str(value) for name, value in (environment or {}).items()}
        self.output_path = None if output_path is None else os.fspath(output_path)
        self.base_job_name = base_job_name
        self.instance_count, self.instance_type, self.volume_size = instance_count, instance_type, volume_size
        self.input_mode = input_mode
        self.max_run = max_run
        self.checkpoint_s3_uri, self.checkpoint_local_path = checkpoint_s3_uri, checkpoint_local_path
        self.max_retry_attempts = max_retry_attempts
        self.cpus, self.gpus = cpus, gpus
        self.role = role or ROLE
        self.tags = tag_list(tags)
        self.strict = strict
        self._client, self._session = client, session
        self.latest_training_job: TrainingJob | None = None

    # ---- what an estimator is ----

    @abstractmethod
    def stem(self) -> str:
        """What a job's name begins with when `base_job_name` is None."""

    @abstractmethod
    def own_problems(self, session: Session) -> list[Problem]:
        """What is wrong with the program itself."""

    @abstractmethod
    def program(self, session: Session, job: str) -> tuple[dict[str, str], dict[str, object]]:
        """The hyperparameters and the extension keys that name the program to run; uploads what must be uploaded."""

    def accepts(self, names: Sequence[str], conditional: Collection[str] = ()) -> list[Problem]:
        """What is wrong with tuning these hyperparameters, as far as the program tells.

        Args:
            conditional: those of them that are not always given.
        """
        return []

    # ---- hyperparameters ----

    def hyperparameters(self) -> dict[str, object]:
        """The values that do not vary, as they were given."""
        return dict(self.fixed)

    def set_hyperparameters(self, **kwargs: object) -> None:
        """Add or replace values that do not vary."""
        self.fixed.update(kwargs)

    def hyperparameter_texts(self) -> dict[str, str]:
        """The values that do not vary, as strings. Raises Invalid."""
        return encode_hyperparameters(self.fixed)

    @property
    def session(self) -> Session:
        """How this estimator's own jobs are created."""
        if self._session is None:
            self._session = Session.of(self._client, strict=self.strict)
        return self._session

    @session.setter
    def session(self, session: Session) -> None:
        self._session = session

    @property
    def has_session(self) -> bool:
        """Whether it was said how jobs are to be created."""
        return self._session is not None or self._client is not None or self.strict

    # ---- a definition ----

    def problems(self, session: Session, inputs: Inputs) -> list[Problem]:
        """All that is wrong before anything starts."""
        found = self.own_problems(session) + channels.problems(inputs)
        try:
            self.hyperparameter_texts()
        except Invalid as error:
            found += error.problems
        found += self._numbers()
        if session.strict and (self.cpus, self.gpus) != (1, 0):
            found.append(Problem("cpus", "AMT has no field for cpus and gpus.", True))
        return found

    def _numbers(self) -> list[Problem]:
        """What is wrong with the numbers among the arguments."""
        least = {
            "cpus": (self.cpus, 1),
            "gpus": (self.gpus, 0),
            "instance_count": (self.instance_count, 1),
            "volume_size": (self.volume_size, 1),
            "max_run": (self.max_run, 1),
            "max_retry_attempts": (self.max_retry_attempts, 1),
        }
        found = whole_problems(least, ("max_run", "max_retry_attempts"))
        wrong = {problem.path for problem in found}
        if self.instance_type == "local" and "instance_count" not in wrong and self.instance_count > 1:
            found.append(Problem("instance_count", f"this machine is one instance, got {self.instance_count}; use 1."))
        return found

    def definition(self, session: Session, inputs: Inputs, job: str) -> Shape:
        """A HyperParameterTrainingJobDefinition with all static hyperparameters, without ranges and objective."""
        hyperparameters, extension = self.program(session, job)
        if (self.cpus, self.gpus) != (1, 0):
            extension = {**extension, "cpus": int(self.cpus), "gpus": int(self.gpus)}
        texts = self.hyperparameter_texts()
        algorithm: Shape = {"TrainingImage": self.image, "TrainingInputMode": self.input_mode}
        if self.metric_definitions:
            algorithm["MetricDefinitions"] = self.metric_definitions
        shape: Shape = {
            "StaticHyperParameters": {**texts, **hyperparameters, **pack(extension)},
            "AlgorithmSpecification": algorithm,
            "RoleArn": self.role,
            "OutputDataConfig": {"S3OutputPath": self._output(session)},
            "StoppingCondition": {} if self.max_run is None else {"MaxRuntimeInSeconds": int(self.max_run)},
        }
        if data := channels.channels(inputs, session, job):
            shape["InputDataConfig"] = data
        return {**shape, **self._optional()}

    def resources(self, session: Session) -> Shape:
        """The instances of one training job; where `local` is not a word it goes by the name of a small instance."""
        kind = LOCAL_INSTANCE if self.instance_type == "local" and session.uploads else self.instance_type
        count, size = int(self.instance_count), int(self.volume_size)
        return {"InstanceType": kind, "InstanceCount": count, "VolumeSizeInGB": size}

    def _optional(self) -> Shape:
        shape: Shape = {}
        if self.environment:
            shape["Environment"] = self.environment
        if self.checkpoint_s3_uri is not None:
            path = channels.local_path(self.checkpoint_s3_uri)
            uri = self.checkpoint_s3_uri if path is None else path.as_uri()
            local = {} if self.checkpoint_local_path is None else {"LocalPath": self.checkpoint_local_path}
            shape["CheckpointConfig"] = {"S3Uri": uri, **local}
        if self.max_retry_attempts is not None:
            shape["RetryStrategy"] = {"MaximumRetryAttempts": int(self.max_retry_attempts)}
        return shape

    def _output(self, session: Session) -> str:
        if self.output_path is None:
            return session.output_path
        path = channels.local_path(self.output_path)
        return self.output_path if path is None else path.as_uri()

    # ---- a plain training job ----

    def fit(
        self, inputs: Inputs = None, wait: bool = True, logs: str | bool = "All", job_name: str | None = None
    ) -> None:
        """Train once with the fixed hyperparameters.

        Args:
            inputs: channel name to local path, `file://`, `s3://` or TrainingInput; a single one is `training`.
            wait: return when the job is over; else at once, with its name printed.
            logs: print the program's log while waiting (`"None"` or False: do not).
            job_name: the training job's name; made from the base name and the time when it is None.

        Raises:
            InvalidArguments: something is wrong; nothing was started.
            TrainingJobFailed: the job ended Failed.
        """
        session = self.session
        name = job_name or fresh_name(self.base_job_name or self.stem(), 63)
        problems = self.problems(session, inputs) + self.accepts(()) + check_name(name, 63)
        if problems:
            raise InvalidArguments(problems)
        client = session.client
        if not wait:
            session.detach()  # nothing starts in this process that the one who takes over would have to repeat
        client.create_training_job(**self.training_request(session, inputs, name))
        self.latest_training_job = TrainingJob(session, name)
        if wait:
            session.start()
            self.latest_training_job.wait(logs=logs not in (False, None, "None"))
            return
        session.detach()
        print(f"Started training job {name}. Follow it with: tunewright logs {name} -f")

    def training_request(self, session: Session, inputs: Inputs, name: str) -> Shape:
        """A CreateTrainingJob request."""
        shape = self.definition(session, inputs, name)
        shape["HyperParameters"] = shape.pop("StaticHyperParameters")
        tags = {"Tags": self.tags} if self.tags else {}
        return {"TrainingJobName": name, **shape, "ResourceConfig": self.resources(session), **tags}

    # ---- results ----

    @property
    def training_job_name(self) -> str:
        """The name of the latest training job."""
        return self._latest().name

    @property
    def model_data(self) -> str | None:
        """The URI of the latest training job's model.tar.gz, or None while there is none."""
        return self._latest().model_data()

    @property
    def training_job_analytics(self) -> TrainingJobAnalytics:
        """The latest training job's metrics as a table."""
        return TrainingJobAnalytics(self.training_job_name, session=self.session)

    def logs(self) -> None:
        """Print the latest training job's log."""
        print(self._latest().log())

    def attached(self, training_job: TrainingJob, hyperparameters: Mapping[str, Value]) -> Self:
        """A copy of this estimator that stands for a training job and has its hyperparameters."""
        twin = copy.copy(self)
        twin.fixed = dict(hyperparameters)
        twin.latest_training_job = training_job
        twin.session = training_job.session
        return twin

    def deploy(self, *args: Any, **kwargs: Any) -> None:
        """There is no hosting here: says where the model lies."""
        raise NotImplementedError(
            no_hosting(self.latest_training_job.model_data() if self.latest_training_job else None)
        )

    def _latest(self) -> TrainingJob:
        if self.latest_training_job is None:
            raise NotStarted("estimator")
        return self.latest_training_job


def no_hosting(model: str | None) -> str:
    """Why deploy() does nothing, and what to do instead."""
    where = f" The model is {model}: unpack it and load it in your own service." if model else ""
    return f"Tunewright trains and tunes; it has no hosting, so there is no deploy().{where}"


def visible(texts: Mapping[str, str]) -> dict[str, Any]:
    """The user's own hyperparameters among a training job's, with their types."""
    extension_free = join_extension(texts)[0]
    return {name: decode_hyperparameter(text) for name, text in extension_free.items() if not name.startswith(HIDDEN)}


def first_tags(*lists: Iterable[Shape]) -> list[Shape]:
    """Tags joined; the first one with a key wins."""
    joined: dict[str, Shape] = {}
    for tags in lists:
        for tag in tags:
            joined.setdefault(tag["Key"], tag)
    return list(joined.values())
