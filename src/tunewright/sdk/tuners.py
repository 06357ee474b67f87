"""HyperparameterTuner, with the arguments, defaults and methods that SageMaker's Python SDK v2 has."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Self, Unpack

from tunewright.control.clock import SteadyClock
from tunewright.core.space import Parameter
from tunewright.sdk.advice import advise
from tunewright.sdk.arguments import agree, inputs_by_part, parent_names
from tunewright.sdk.configs import (
    InstanceConfig,
    StrategyConfig,
    TuningJobCompletionCriteriaConfig,
    WarmStartConfig,
    WarmStartTypes,
)
from tunewright.sdk.errors import InvalidArguments
from tunewright.sdk.estimators import EstimatorBase, MetricDefinitions, Tags, metric_list, tag_list
from tunewright.sdk.inputs import Inputs
from tunewright.sdk.names import fresh_name
from tunewright.sdk.options import Options, check_known, extensions
from tunewright.sdk.request import (
    MAX_NAME,
    Part,
    Plan,
    add_class_names,
    all_problems,
    argument_problems,
    tuning_request,
)
from tunewright.sdk.revive import parts_of_job, tuner_arguments
from tunewright.sdk.session import Client, Session
from tunewright.sdk.shapes import Shape
from tunewright.sdk.tuned import Tuned
from tunewright.sdk.tuning import TuningJob
from tunewright.sdk.values import ranges_shape, space_of
from tunewright.sdk.watch import Watcher


class HyperparameterTuner(Tuned):
    """Tunes an estimator's hyperparameters.

    Args:
        estimator: an Estimator or FunctionEstimator.
        objective_metric_name: the metric that counts.
        hyperparameter_ranges: name to ContinuousParameter, IntegerParameter or CategoricalParameter.
        metric_definitions: how metrics are read from the log; None takes the estimator's.
        strategy: Bayesian, Random, Grid or Hyperband.
        objective_type: Maximize or Minimize.
        max_jobs: training jobs in all; None is 1 (one configuration), and for Grid the whole grid.
        max_parallel_jobs: training jobs at the same time.
        max_runtime_in_seconds: wall clock of the tuning job.
        tags, base_tuning_job_name, warm_start_config, strategy_config, completion_criteria_config,
        early_stopping_type (Off or Auto), random_seed: as AMT's.
        estimator_name: sends the form with a list of definitions, of which this is the first.
        autotune: let the service choose ranges for hyperparameters that have none.
        hyperparameters_to_keep_static: those that autotune must leave alone.
        **options: see `Options`.

    Raises:
        InvalidArguments: with all that is wrong with these arguments.
    """

    def __init__(
        self,
        estimator: EstimatorBase,
        objective_metric_name: str,
        hyperparameter_ranges: Mapping[str, Parameter],
        metric_definitions: MetricDefinitions | None = None,
        strategy: str = "Bayesian",
        objective_type: str = "Maximize",
        max_jobs: int | None = None,
        max_parallel_jobs: int = 1,
        max_runtime_in_seconds: int | None = None,
        tags: Tags | None = None,
        base_tuning_job_name: str | None = None,
        warm_start_config: WarmStartConfig | None = None,
        strategy_config: StrategyConfig | None = None,
        completion_criteria_config: TuningJobCompletionCriteriaConfig | None = None,
        early_stopping_type: str = "Off",
        estimator_name: str | None = None,
        random_seed: int | None = None,
        autotune: bool = False,
        hyperparameters_to_keep_static: Sequence[str] | None = None,
        **options: Unpack[Options],
    ) -> None:
        check_known(options)
        metrics = None if metric_definitions is None else metric_list(metric_definitions)
        ranges = dict(hyperparameter_ranges or {})
        part = Part(estimator, objective_metric_name, ranges, estimator_name, metrics, hyperparameters_to_keep_static)
        self.parts = [part]
        self.strategy, self.objective_type = strategy, objective_type
        self.extensions = extensions(options)
        self.max_jobs = self.replicates if max_jobs is None and strategy != "Grid" else max_jobs
        self.max_parallel_jobs, self.max_runtime_in_seconds = max_parallel_jobs, max_runtime_in_seconds
        self.tags = tag_list(tags)
        self.base_tuning_job_name = base_tuning_job_name
        self.warm_start_config = warm_start_config
        self.strategy_config = strategy_config
        self.completion_criteria_config = completion_criteria_config
        self.early_stopping_type = early_stopping_type
        self.random_seed, self.autotune = random_seed, autotune
        self.strict = bool(options.get("strict", False))
        self._client, self._session = options.get("client"), options.get("session")
        self.latest_tuning_job: TuningJob | None = None
        self._check()

    @classmethod
    def create(
        cls,
        estimator_dict: Mapping[str, EstimatorBase],
        objective_metric_name_dict: Mapping[str, str],
        hyperparameter_ranges_dict: Mapping[str, Mapping[str, Parameter]],
        metric_definitions_dict: Mapping[str, MetricDefinitions] | None = None,
        base_tuning_job_name: str | None = None,
        strategy: str = "Bayesian",
        strategy_config: StrategyConfig | None = None,
        completion_criteria_config: TuningJobCompletionCriteriaConfig | None = None,
        objective_type: str = "Maximize",
        max_jobs: int | None = None,
        max_parallel_jobs: int = 1,
        max_runtime_in_seconds: int | None = None,
        tags: Tags | None = None,
        warm_start_config: WarmStartConfig | None = None,
        early_stopping_type: str = "Off",
        random_seed: int | None = None,
        autotune: bool = False,
        hyperparameters_to_keep_static_dict: Mapping[str, Sequence[str]] | None = None,
        **options: Unpack[Options],
    ) -> Self:
        """A tuner of several estimators, each under a name with its own objective and ranges.

        Raises:
            InvalidArguments: the dictionaries do not agree on the names, or an argument is wrong.
        """
        kept, metrics = hyperparameters_to_keep_static_dict or {}, metric_definitions_dict or {}
        agree(estimator_dict, objective_metric_name_dict, hyperparameter_ranges_dict, metrics, kept)
        first, *others = sorted(estimator_dict)
        tuner = cls(
            estimator_dict[first],
            objective_metric_name_dict[first],
            hyperparameter_ranges_dict[first],
            metrics.get(first),
            strategy=strategy,
            objective_type=objective_type,
            max_jobs=max_jobs,
            max_parallel_jobs=max_parallel_jobs,
            max_runtime_in_seconds=max_runtime_in_seconds,
            tags=tags,
            base_tuning_job_name=base_tuning_job_name,
            warm_start_config=warm_start_config,
            strategy_config=strategy_config,
            completion_criteria_config=completion_criteria_config,
            early_stopping_type=early_stopping_type,
            estimator_name=first,
            random_seed=random_seed,
            autotune=autotune,
            hyperparameters_to_keep_static=kept.get(first),
            **options,
        )
        for name in others:
            found = metric_list(metrics[name]) if name in metrics else None
            ranges, objective = dict(hyperparameter_ranges_dict[name]), objective_metric_name_dict[name]
            tuner.parts.append(Part(estimator_dict[name], objective, ranges, name, found, kept.get(name)))
        tuner._check()
        return tuner

    # ---- what it is made of ----

    @property
    def estimator(self) -> EstimatorBase | None:
        """The estimator; None when there are named ones (`estimator_dict`)."""
        return self.parts[0].estimator if self.parts[0].name is None else None

    @property
    def estimator_dict(self) -> dict[str, EstimatorBase]:
        """Estimators by name; empty in the form with one definition."""
        return {part.name: part.estimator for part in self.parts if part.name is not None}

    @property
    def objective_metric_name(self) -> str | None:
        """The objective of the (first) estimator."""
        return self.parts[0].objective_metric_name

    @property
    def metric_definitions(self) -> list[Shape]:
        """The metric definitions of the (first) estimator that are in force."""
        return self.parts[0].metrics()

    @metric_definitions.setter
    def metric_definitions(self, value: MetricDefinitions | None) -> None:
        self.parts[0].metric_definitions = None if value is None else metric_list(value)

    def hyperparameter_ranges(self) -> Shape:
        """AMT's ParameterRanges of the (first) estimator."""
        return ranges_shape(space_of(self.parts[0].ranges))

    def hyperparameter_ranges_dict(self) -> dict[str, Shape]:
        """AMT's ParameterRanges by estimator name; empty in the form with one definition."""
        return {part.name: ranges_shape(space_of(part.ranges)) for part in self.parts if part.name is not None}

    def override_resource_config(
        self, instance_configs: Sequence[InstanceConfig] | Mapping[str, Sequence[InstanceConfig]]
    ) -> None:
        """Send a choice of instances instead of the estimator's own (by name for several estimators)."""
        if not isinstance(instance_configs, Mapping):
            self.parts[0].instance_configs = list(instance_configs)
            return
        known = self.estimator_dict
        if unknown := [name for name in instance_configs if name not in known]:
            raise InvalidArguments.one("instance_configs", f"{unknown} are not among the estimators {sorted(known)}.")
        for part in self.parts:
            if part.name is not None and part.name in instance_configs:
                part.instance_configs = list(instance_configs[part.name])

    @property
    def session(self) -> Session:
        """How jobs are created: the tuner's own client, else the estimator's, else this process's engine."""
        if self._session is None:
            mine = self._client is not None or self.strict
            estimator = self.parts[0].estimator
            use_estimators = not mine and estimator.has_session
            self._session = estimator.session if use_estimators else Session.of(self._client, strict=self.strict)
        return self._session

    # ---- running ----

    def fit(
        self,
        inputs: Inputs | Mapping[str, Inputs] = None,
        job_name: str | None = None,
        include_cls_metadata: bool | Mapping[str, bool] = False,
        estimator_kwargs: Mapping[str, Mapping[str, object]] | None = None,
        wait: bool = True,
        **kwargs: object,
    ) -> None:
        """Start tuning, and show its progress until it ends.

        Args:
            inputs: channel name to local path, `file://`, `s3://` or TrainingInput; a single one is the channel
                `training`. For several estimators a dictionary of these by estimator name.
            job_name: the tuning job's name; made from the base name and the time when it is None.
            include_cls_metadata: send the estimator's class and module as static hyperparameters.
            estimator_kwargs: nothing can be passed on to our estimators; must be empty.
            wait: return when the job has ended; else at once, and the job goes on without this process.

        Raises:
            InvalidArguments: with all that is wrong; nothing was started.
            TuningJobFailed: the job ended Failed.
            KeyboardInterrupt: the user interrupted; the job was asked to stop, if it had been created.
        """
        if kwargs or any((estimator_kwargs or {}).values()):
            given = [*kwargs, *(estimator_kwargs or {})]
            raise TypeError(f"fit() has nothing to pass these on to: {', '.join(given)}.")
        session, plan = self.session, self._plan()
        first = self.parts[0].estimator
        base = self.base_tuning_job_name or first.base_job_name or first.stem()
        name = job_name or fresh_name(base, MAX_NAME)
        by_part = inputs_by_part(inputs, None if self.parts[0].name is None else sorted(self.estimator_dict))
        if problems := all_problems(plan, session, by_part, name):
            raise InvalidArguments(problems)
        advise({part.objective_metric_name: plan.objective_type for part in plan.parts if part.objective_metric_name})
        client = session.client
        if not wait:
            session.detach()  # nothing starts in this process that the one who takes over would have to repeat
        request = tuning_request(plan, session, by_part, name)
        add_class_names(request, plan.parts, include_cls_metadata)
        if (watcher := self._launch(client, request, wait=wait)) is not None:
            watcher.run()
            return
        print(f"It goes on without this process. Watch it: tunewright watch {name} | tuner.wait() | tuner.describe()")

    def _launch(self, client: Client, request: Shape, *, wait: bool) -> Watcher | None:
        """Create the tuning job, and its watcher if it is to be waited for; interrupted, it is not left running."""
        session, name = self.session, request["HyperParameterTuningJobName"]
        before, job, since, created = self.latest_tuning_job, TuningJob(session, name), SteadyClock().now(), False
        self.latest_tuning_job = job
        try:
            client.create_hyper_parameter_tuning_job(**request)
            created = True
            jobs = "the whole grid" if self.max_jobs is None else f"{self.max_jobs:.0f} training jobs"
            print(f"Tuning job {name} started: {jobs}, {self.max_parallel_jobs} at a time.", flush=True)
            if wait:
                session.start()
                return job.watcher(owns=True)
            session.detach()
            return None
        except KeyboardInterrupt:
            if job.stop_new(since):
                session.start()
                print(f"Interrupted: the tuning job {name} was being started, and is stopped.", flush=True)
            else:
                self.latest_tuning_job = before
                print(f"Interrupted: the tuning job {name} was not started.", flush=True)
            raise
        # Broad, and raised again: whatever kept the job from being created, the tuner is as it was before.
        except Exception:
            if not created:
                self.latest_tuning_job = before
            raise

    # ---- further tuners ----

    @classmethod
    def attach(
        cls,
        tuning_job_name: str,
        sagemaker_session: Session | None = None,
        job_details: Mapping[str, Any] | None = None,
        estimator_cls: type[EstimatorBase] | Mapping[str, type[EstimatorBase]] | None = None,
        **options: Unpack[Options],
    ) -> Self:
        """A tuner that stands for an existing tuning job, whoever started it.

        Args:
            sagemaker_session: a `Session`; None makes one of `client` and `strict`.
            job_details: its description, when it is at hand.
            estimator_cls: the estimator's class (by definition name for several); None finds it.
        """
        check_known(options)
        strict, client = bool(options.get("strict", False)), options.get("client")
        session = sagemaker_session or options.get("session") or Session.of(client, strict=strict)
        job = dict(job_details) if job_details is not None else session.describe(tuning_job_name)
        parts = parts_of_job(job, session, estimator_cls)
        arguments = tuner_arguments(job)
        tuner = cls(
            parts[0].estimator, parts[0].objective_metric_name or "", parts[0].ranges, session=session, **arguments
        )
        tuner.parts = parts
        tuner.max_jobs = arguments["max_jobs"]
        tuner.latest_tuning_job = TuningJob(session, job["HyperParameterTuningJobName"])
        return tuner

    def transfer_learning_tuner(
        self, additional_parents: Iterable[str] | str | None = None, estimator: EstimatorBase | None = None
    ) -> Self:
        """A new tuner that begins with this one's results, for other data or another version of the program.

        Args:
            additional_parents: names of further tuning jobs to begin with, or one name.
            estimator: what is to be tuned; None is this tuner's.
        """
        return self._warm(WarmStartTypes.TRANSFER_LEARNING, additional_parents, estimator)

    def identical_dataset_and_algorithm_tuner(self, additional_parents: Iterable[str] | str | None = None) -> Self:
        """A new tuner that goes on from this one's results with the same data and program."""
        return self._warm(WarmStartTypes.IDENTICAL_DATA_AND_ALGORITHM, additional_parents, None)

    def _warm(
        self, kind: WarmStartTypes, additional: Iterable[str] | str | None, estimator: EstimatorBase | None
    ) -> Self:
        if len(self.parts) > 1:
            raise InvalidArguments.one("warm_start_config", "works with one estimator only; this tuner has several.")
        part, twin = self.parts[0], copy.copy(self)
        twin.parts = [replace(part, estimator=estimator or part.estimator, metric_definitions=part.metrics())]
        if kind is WarmStartTypes.IDENTICAL_DATA_AND_ALGORITHM:  # the parent has the results of its initial points
            twin.extensions = {name: value for name, value in self.extensions.items() if name != "initial_points"}
        twin.tags, twin.base_tuning_job_name = [], None
        twin.warm_start_config = WarmStartConfig(kind, {self._job().name, *parent_names(additional)})
        twin.latest_tuning_job = None
        return twin

    # ---- inner ----

    def _plan(self) -> Plan:
        return Plan(
            parts=self.parts,
            strategy=self.strategy,
            objective_type=self.objective_type,
            max_jobs=self.max_jobs,
            max_parallel_jobs=self.max_parallel_jobs,
            max_runtime_in_seconds=self.max_runtime_in_seconds,
            tags=self.tags,
            warm_start_config=self.warm_start_config,
            strategy_config=self.strategy_config,
            completion_criteria_config=self.completion_criteria_config,
            early_stopping_type=self.early_stopping_type,
            random_seed=self.random_seed,
            autotune=self.autotune,
            extensions=self.extensions,
        )

    def _check(self) -> None:
        if problems := argument_problems(self._plan(), strict=self.strict):
            raise InvalidArguments(problems)
