"""Instance types as this installation offers them: which there are, and the slots that one takes.

Without a table every type is offered and takes one CPU slot: types are names. With one, only its types are there,
beside `local`; what asks for another one has no capacity here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from tunewright.core.errors import Invalid, NoCapacity, Problem
from tunewright.core.ports import Task
from tunewright.core.spec import Training
from tunewright.executors.slots import Slots

ALWAYS = ("local", "local_gpu")
_ENTRY = re.compile(r"([\w.-]+)\s*(.*)", re.DOTALL)
_SIZE = re.compile(r"(cpu|gpu)s?\s*=\s*(\d{1,6})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Size:
    """The slots that one host of an instance type takes."""

    cpus: int = 1
    gpus: int = 0


def table_of(setting: str) -> dict[str, Size]:
    """The types of a setting such as `ml.m5.large cpu=2; ml.g5.xlarge cpu=4,gpu=1`.

    Raises:
        Invalid: a part of it is of another form, with every such part.
    """
    table: dict[str, Size] = {}
    problems = []
    for part in filter(None, (part.strip() for part in setting.split(";"))):
        entry = _ENTRY.fullmatch(part)
        sizes = [_SIZE.fullmatch(size.strip()) for size in entry[2].split(",")] if entry and entry[2] else []
        found = {size[1].lower(): int(size[2]) for size in sizes if size is not None}
        if entry is None or None in sizes or found.get("cpu") == 0:
            problems.append(Problem("instances", f"{part!r} is not of the form ml.g5.xlarge cpu=4,gpu=1."))
        else:
            table[entry[1]] = Size(found.get("cpu", 1), found.get("gpu", 0))
    if problems:
        raise Invalid(problems)
    return table


class Offer:
    """The instance types on offer.

    Args:
        setting: what `table_of` reads; empty offers every type, with one CPU slot each.
        slots: what this host has.
    """

    def __init__(self, setting: str, slots: Slots) -> None:
        self._table = table_of(setting)
        self._slots = slots

    def sized(self, task: Task) -> Task:
        """The task with the slots that its instance type takes; slots that it names itself stand.

        Raises:
            NoCapacity: the type is not offered, or has more GPUs than this host.
        """
        training = task.training
        sizes = [self._size(kind) for kind in _kinds(training)] if self._table else []
        if (training.cpus, training.gpus) != (1, 0) or not sizes:
            return task
        # Groups of several types share one size: the largest, so that each host has what it needs.
        cpus, gpus = max(size.cpus for size in sizes), max(size.gpus for size in sizes)
        impossible = self._slots.impossible(gpus * training.hosts)
        if impossible:
            raise NoCapacity(f"Unable to provision {', '.join(_kinds(training))}: {impossible}.")
        return replace(task, training=replace(training, cpus=cpus, gpus=gpus))

    def _size(self, kind: str) -> Size:
        if kind not in self._table:
            raise NoCapacity(
                f"Unable to provision {kind}: this installation does not offer it. It offers "
                f"{', '.join(self._table)} (the setting TUNEWRIGHT_INSTANCES)."
            )
        return self._table[kind]


def _kinds(training: Training) -> list[str]:
    kinds = [group.kind for group in training.instance_groups] or [training.instance_type or ""]
    return [kind for kind in kinds if kind and kind not in ALWAYS]
