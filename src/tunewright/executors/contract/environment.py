"""The variables that a training program finds: SageMaker's training toolkit's `SM_*`, the service's, and ours."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from tunewright.core.ports import FIRST_HOST, Task
from tunewright.executors.contract import access
from tunewright.executors.contract.cluster import Cluster
from tunewright.executors.contract.files import (
    NETWORK,
    Json,
    arguments,
    compact,
    input_config,
    program_parameters,
    resource_config,
    script,
)
from tunewright.executors.workdir import Workdir

MAX_VARIABLE = 128 * 1024 - 1
"""Bytes of `NAME=value` that Linux takes; longer ones would stop the program from starting."""


def environment(
    task: Task,
    workdir: Workdir,
    base: Mapping[str, str],
    *,
    devices: Sequence[str] | None = None,
    python: str | None = None,
    host: str = FIRST_HOST,
) -> dict[str, str]:
    """All variables for a task's program.

    What is inherited is seen to by `access`. The request's Environment wins over everything that is inherited or of
    convenience (`PYTHONUNBUFFERED`), and what the contract sets (`SM_*`, `TRAINING_JOB_NAME`, ...) wins over the
    Environment.

    Args:
        base: what the program inherits.
        devices: the GPUs it may see (`CUDA_VISIBLE_DEVICES`); None leaves the variable as it is.
        python: absolute path of the interpreter; its directory comes first in `PATH`.
        host: which of the training job's hosts it runs on.
    """
    training = task.training
    variables = access.surroundings(base, isolated=training.isolated)
    # A log that arrives in blocks of 8 KB would keep metrics from early stopping.
    variables.setdefault("PYTHONUNBUFFERED", "1")
    if python:
        variables["PATH"] = f"{os.path.dirname(python)}:{variables.get('PATH', os.defpath)}"
    if training.cpus > 1:
        variables.setdefault("OMP_NUM_THREADS", str(training.cpus))
    if devices is not None:
        variables["CUDA_VISIBLE_DEVICES"] = ",".join(devices)
    variables.update(training.environment)
    variables.update(_toolkit(task, workdir, host))
    variables["TRAINING_JOB_NAME"] = task.name
    variables["TRAINING_JOB_ARN"] = task.arn
    variables["AWS_REGION"] = task.region
    variables["SAGEMAKER_BASE_DIR"] = workdir.base
    variables["TUNEWRIGHT_METRICS_FILE"] = workdir.stream("metrics")
    if task.checkpoint_uri is not None:
        variables["TUNEWRIGHT_CHECKPOINT_DIR"] = workdir.checkpoints
    return {name: value for name, value in variables.items() if _possible(name, value)}


def _possible(name: str, value: str) -> bool:
    """Whether the system takes the variable at all (a hyperparameter may be called `a=b`)."""
    if len(name) + len(value) > MAX_VARIABLE // 4 and len(os.fsencode(name + value)) >= MAX_VARIABLE:
        return False
    return "=" not in name and "\0" not in name and "\0" not in value


def _toolkit(task: Task, workdir: Workdir, host: str) -> dict[str, str]:
    """The `SM_*` variables."""
    parameters = program_parameters(task.hyperparameters)
    values = _values(task, workdir, parameters, host)
    variables = {f"SM_{name.upper()}": _text(value) for name, value in values.items()}
    for channel in task.training.channels:
        variables[f"SM_CHANNEL_{channel.name.upper()}"] = workdir.channel(channel.name)
    for name, value in parameters.items():
        variables[f"SM_HP_{name.upper()}"] = _text(value)
    variables["SM_TRAINING_ENV"] = compact(_training_env(task, workdir, values))
    return variables


def _text(value: Json) -> str:
    return value if isinstance(value, str) else "" if value is None else compact(value)


def _values(task: Task, workdir: Workdir, parameters: dict[str, Json], host: str) -> dict[str, Json]:
    """Name (lower case, without `SM_`) and value of every variable that does not depend on a channel's name."""
    training = task.training
    program, source = script(task.hyperparameters) or ("", "")
    cluster = Cluster.of(training)
    resources = resource_config(cluster, host)
    kind = resources["current_instance_type"]
    own = cluster.group_of(host)
    channels: list[Json] = [*sorted(channel.name for channel in training.channels)]
    groups: dict[str, Json] = {
        group.name: {
            "instance_group_name": group.name,
            "instance_type": group.kind,
            "hosts": [*sorted(group.hosts)],
        }
        for group in cluster.groups
    }
    return {
        "channels": channels,
        "current_host": host,
        "current_instance_group": own.name,
        "current_instance_group_hosts": [*sorted(own.hosts)],
        "current_instance_type": kind,
        "distribution_instance_groups": [],
        "framework_module": "",
        "framework_params": {},
        "hosts": resources["hosts"],
        "hps": parameters,
        "input_config_dir": workdir.config,
        "input_data_config": input_config(training.channels),
        "input_dir": workdir.at("input"),
        "instance_groups": [*groups],
        "instance_groups_dict": groups,
        "is_hetero": len(groups) > 1,
        "log_level": _level(task.hyperparameters),
        "model_dir": workdir.model,
        "module_dir": source,
        "module_name": program.removesuffix(".py"),
        "network_interface_name": NETWORK,
        "num_cpus": max(1, training.cpus),
        "num_gpus": training.gpus,
        "num_neurons": 0,
        "output_data_dir": workdir.output_data,
        "output_dir": workdir.output,
        "output_intermediate_dir": workdir.output + "/intermediate",
        "resource_config": resources,
        "user_args": list(arguments(parameters)),
        "user_entry_point": program,
    }


def _level(hyperparameters: Mapping[str, str]) -> int:
    text = hyperparameters.get("sagemaker_container_log_level", "20").strip('"')
    return int(text) if text.isdecimal() else 20


_SHARED = (
    "current_host",
    "current_instance_group",
    "current_instance_group_hosts",
    "current_instance_type",
    "distribution_instance_groups",
    "framework_module",
    "hosts",
    "input_config_dir",
    "input_data_config",
    "input_dir",
    "instance_groups",
    "instance_groups_dict",
    "is_hetero",
    "log_level",
    "model_dir",
    "module_dir",
    "module_name",
    "network_interface_name",
    "num_cpus",
    "num_gpus",
    "num_neurons",
    "output_data_dir",
    "output_dir",
    "output_intermediate_dir",
    "resource_config",
    "user_entry_point",
)


def _training_env(task: Task, workdir: Workdir, values: Mapping[str, Json]) -> dict[str, Json]:
    """Everything at once, under the toolkit's names."""
    directories: dict[str, Json] = {c.name: workdir.channel(c.name) for c in task.training.channels}
    whole = {name: values[name] for name in _SHARED}
    whole["additional_framework_parameters"] = {}
    whole["channel_input_dirs"] = directories
    whole["distribution_hosts"] = []
    whole["hyperparameters"] = values["hps"]
    hosts = sorted(Cluster.of(task.training).hosts)
    whole["is_master"] = values["current_host"] == hosts[0]
    whole["job_name"] = task.name
    whole["master_hostname"] = hosts[0]
    return whole
