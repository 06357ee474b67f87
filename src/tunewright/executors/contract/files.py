"""The container contract's files and arguments: what a training program finds and how it is called.

Sources: SageMaker's documentation of training containers for the three files below `input/config`; the behaviour
of its training toolkit for what a script gets as arguments (names sorted, one dash for one letter, values
decoded from JSON, `sagemaker_*` left out).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TypeAlias

from tunewright.core.parameters import decode_json
from tunewright.core.ports import FIRST_HOST, Task
from tunewright.core.spec import OBJECTIVE_KEY, Channel
from tunewright.executors.contract.cluster import Cluster
from tunewright.executors.workdir import Workdir, write_plain

Json: TypeAlias = bool | int | float | str | list["Json"] | dict[str, "Json"] | None

_COMPACT = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode

NETWORK = "lo"


def compact(value: Json | Mapping[str, Json]) -> str:
    """JSON with sorted names and no blanks, as the toolkit writes it into variables."""
    return _COMPACT(value)


def program_parameters(hyperparameters: Mapping[str, str]) -> dict[str, Json]:
    """What a program is told: decoded values by sorted name, without SageMaker's and our own keys."""
    return {
        name: decode_json(hyperparameters[name])
        for name in sorted(hyperparameters)
        if not name.startswith(("sagemaker_", "_tunewright")) and name != OBJECTIVE_KEY
    }


def arguments(parameters: Mapping[str, Json]) -> list[str]:
    """Command line arguments for decoded parameters; each value is one argument, whatever blanks it holds."""
    result = []
    for name, value in parameters.items():
        result.append(f"-{name}" if len(name) == 1 else f"--{name}")
        result.append(value if isinstance(value, str) else str(value))
    return result


def input_config(channels: tuple[Channel, ...]) -> dict[str, Json]:
    """The content of inputdataconfig.json."""
    config: dict[str, Json] = {}
    for channel in channels:
        entry: dict[str, Json] = {
            "TrainingInputMode": channel.input_mode,
            "S3DistributionType": channel.distribution,
            "RecordWrapperType": channel.record_wrapper,
        }
        if channel.content_type is not None:
            entry["ContentType"] = channel.content_type
        config[channel.name] = entry
    return config


def resource_config(cluster: Cluster, host: str) -> dict[str, Json]:
    """The content of resourceconfig.json for one host."""
    group = cluster.group_of(host)
    return {
        "current_host": host,
        "current_instance_type": group.kind,
        "current_group_name": group.name,
        "hosts": [*sorted(cluster.hosts)],
        "instance_groups": [
            {"instance_group_name": each.name, "instance_type": each.kind, "hosts": [*sorted(each.hosts)]}
            for each in cluster.groups
        ],
        "network_interface_name": NETWORK,
    }


def write_config(workdir: Workdir, task: Task, host: str = FIRST_HOST) -> None:
    """Write the files below `input/config` for one host. The directory must exist."""
    config = workdir.config
    training = task.training
    write_plain(config + "/hyperparameters.json", json.dumps(dict(task.hyperparameters)))
    write_plain(config + "/inputdataconfig.json", json.dumps(input_config(training.channels)))
    write_plain(config + "/resourceconfig.json", json.dumps(resource_config(Cluster.of(training), host)))
    if task.checkpoint_uri is not None:
        write_plain(config + "/checkpointconfig.json", json.dumps({"LocalPath": workdir.checkpoints}))


def script(hyperparameters: Mapping[str, str]) -> tuple[str, str] | None:
    """The script's file name and the URI of its source (`""` if none is given); None when no script is named."""
    program = hyperparameters.get("sagemaker_program", "")
    if not program:
        return None
    return str(decode_json(program)), str(decode_json(hyperparameters.get("sagemaker_submit_directory", "")))
