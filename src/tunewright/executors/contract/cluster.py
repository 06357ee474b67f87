"""The hosts of a training job: as many processes as its request asks for instances, each with a directory of its own.

The first one, `algo-1`, lives in the attempt's directory itself, the others below `hosts/<name>` in it.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from tunewright.core.ports import Task
from tunewright.core.spec import Channel, Training
from tunewright.core.trial import Failure
from tunewright.executors.reasons import Refused
from tunewright.executors.rooms import NAMES
from tunewright.executors.workdir import Workdir

GROUP = "homogeneousCluster"
MAX_HOSTS = 100
"""More processes than that are nobody's wish on one machine; SageMaker's own quotas end at the same order."""


@dataclass(frozen=True, slots=True)
class Group:
    """Hosts of one kind. Several groups make a heterogeneous cluster."""

    name: str
    kind: str
    hosts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cluster:
    """All hosts of a training job, numbered through the groups in the request's order."""

    groups: tuple[Group, ...]

    @classmethod
    def of(cls, training: Training) -> Cluster:
        """The hosts that a request asks for; a Python function has one, whatever is asked for."""
        asked = [(group.name, group.kind, group.count) for group in training.instance_groups]
        if not asked:
            asked = [(GROUP, training.instance_type or "local", training.instance_count)]
        if training.function is not None:
            asked = [(*asked[0][:2], 1)]
        groups, number = [], 0
        for name, kind, count in asked:
            count = max(1, count)
            groups.append(Group(name, kind, tuple(f"algo-{number + k}" for k in range(1, count + 1))))
            number += count
        return cls(tuple(groups))

    @property
    def hosts(self) -> tuple[str, ...]:
        """In order of their numbers; SageMaker's lists are sorted as texts (`sorted`)."""
        return tuple(host for group in self.groups for host in group.hosts)

    def group_of(self, host: str) -> Group:
        """The group that a host belongs to."""
        return next(group for group in self.groups if host in group.hosts)

    def served(self, channel: Channel) -> tuple[str, ...]:
        """The hosts that a channel is for, in order."""
        names = channel.groups
        return tuple(host for group in self.groups if not names or group.name in names for host in group.hosts)


def task_of(task: Task, cluster: Cluster, host: str) -> Task:
    """The task as one host sees it: with the channels that are for it."""
    channels = tuple(channel for channel in task.training.channels if host in cluster.served(channel))
    return replace(task, training=replace(task.training, channels=channels))


def merge(workdir: Workdir, others: Sequence[Workdir]) -> None:
    """Bring the models and further output of all hosts together in the first one's directory.

    Where several wrote a file of one name, the one of the host with the lowest number stays. Raises Refused.
    """
    try:
        for other in others:
            _merge(other.model, workdir.model)
            _merge(other.output_data, workdir.output_data)
    except OSError as error:
        raise Refused(Failure.CLIENT, f"What the hosts wrote could not be brought together: {error}") from error


def _merge(source: str, target: str) -> None:
    if not os.path.isdir(source) or os.path.islink(source) or os.path.islink(target):
        return
    os.makedirs(target, exist_ok=True)
    for name in os.listdir(source):
        here, there = f"{source}/{name}", f"{target}/{name}"
        if not os.path.lexists(there):
            os.rename(here, there)
        elif os.path.isdir(there) and os.path.isdir(here):
            _merge(here, there)


def write_names(path: str, task: Task, cluster: Cluster) -> bool:
    """Write what takes the place of `/etc/hosts` for several hosts; False where there is no such file.

    Each host has an address of the loopback network, which differs between training jobs that run at once, so that
    their servers can listen on one port.
    """
    try:
        with open(NAMES, encoding="utf-8", errors="surrogateescape") as file:
            text = file.read().rstrip("\n")
    except OSError:
        return False
    first, second = hashlib.sha256(f"{task.name}/{task.attempt}".encode()).digest()[:2]
    lines = [f"127.{1 + first % 250}.{second}.{k} {host}" for k, host in enumerate(cluster.hosts, 1)]
    with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
        file.write("\n".join([text, *lines, ""]))
    return True
