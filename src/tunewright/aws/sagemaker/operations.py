"""The one entry of the wire: an operation's name and a body in; a status, headers and a body out."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence
from typing import TypeAlias

from tunewright.aws import faults
from tunewright.aws.faults import Answer
from tunewright.aws.sagemaker.encoding import encode_answer
from tunewright.aws.sagemaker.limits import quotas_of
from tunewright.aws.sagemaker.names import Arns
from tunewright.aws.sagemaker.protocol import (
    UnknownOperation,
    Violation,
    Wire,
    load_json,
    operation_model,
    read_request,
)
from tunewright.aws.sagemaker.service import EXTENDED_GRACE, STRICT_GRACE, Service
from tunewright.aws.sagemaker.tags import TagOperations
from tunewright.aws.sagemaker.training import TrainingOperations
from tunewright.aws.sagemaker.translate_request import Manner
from tunewright.aws.sagemaker.tuning import TuningOperations
from tunewright.control.recorder import Recorder
from tunewright.core.ports import Objects, Store
from tunewright.core.reads import Reads
from tunewright.settings import Settings

Method: TypeAlias = Callable[[Wire], Wire]
Creation: TypeAlias = Callable[[Wire, Sequence[Violation]], Wire]

HOSTING = frozenset({"CreateModel", "CreateEndpointConfig", "CreateEndpoint", "CreateTransformJob"})

log = logging.getLogger(__name__)


def draw_seed() -> int:
    """A seed for a job that names none."""
    return secrets.randbelow(2**31)


class Operations:
    """SageMaker's tuning and training operations on a store. Safe to call from any thread.

    Args:
        strict: AMT to the letter, or extended. Services of both kinds may share a store.
        wake: told the uid of a job for which something may be owed now.
        draw_seed: where a missing RandomSeed comes from.
        endpoint: the URL of the server, "" in process.
        has_bucket: as in `Service`.
    """

    def __init__(
        self,
        recorder: Recorder,
        store: Store,
        reads: Reads,
        objects: Objects,
        settings: Settings,
        strict: bool,
        wake: Callable[[str], None],
        draw_seed: Callable[[], int] = draw_seed,
        endpoint: str = "",
        has_bucket: Callable[[str], bool] | None = None,
    ) -> None:
        grace = settings.stop_grace_seconds
        if grace is None:
            grace = STRICT_GRACE if strict else EXTENDED_GRACE
        manner = Manner(strict, grace, draw_seed)
        quotas = quotas_of(settings.quotas)
        service = Service(
            recorder, store, reads, objects, Arns.of(settings), manner, wake, quotas, endpoint, has_bucket
        )
        tuning, training, tags = TuningOperations(service), TrainingOperations(service), TagOperations(service)
        self.strict = strict
        self.creations: dict[str, Creation] = {
            "CreateHyperParameterTuningJob": tuning.create,
            "CreateTrainingJob": training.create,
        }
        self.methods: dict[str, Method] = {
            "DescribeHyperParameterTuningJob": tuning.describe,
            "ListHyperParameterTuningJobs": tuning.list,
            "ListTrainingJobsForHyperParameterTuningJob": tuning.list_training_jobs,
            "StopHyperParameterTuningJob": tuning.stop,
            "DeleteHyperParameterTuningJob": tuning.delete,
            "DescribeTrainingJob": training.describe,
            "ListTrainingJobs": training.list,
            "StopTrainingJob": training.stop,
            "DeleteTrainingJob": training.delete,
            "AddTags": tags.add,
            "ListTags": tags.list,
            "DeleteTags": tags.delete,
        }

    def handle(self, operation: str, body: bytes) -> Answer:
        """Answer one request. Never raises."""
        try:
            return faults.answer(encode_answer(operation, self.call(operation, load_json(body))))
        # Broad: the promise is never to raise. A client's fault is its answer; one of ours is logged with its trace.
        except Exception as error:
            fault = faults.fault_of(error)
            if fault.status >= 500:
                log.exception("%s failed", operation)
            return faults.error_answer(fault)

    def call(self, operation: str, body: Wire) -> Wire:
        """An operation on a request, both as wire dictionaries.

        Raises:
            Fault, TunewrightError: as `faults.fault_of` turns them into answers.
        """
        if operation not in self.methods and operation not in self.creations:
            operation_model(operation)
            raise UnknownOperation(self._unsupported(operation, body))
        request, violations = read_request(operation, body, strict=self.strict)
        if operation in self.creations:
            return self.creations[operation](request, violations)
        if violations:
            raise faults.invalid(violations)
        return self.methods[operation](request)

    def _unsupported(self, operation: str, body: Wire) -> str:
        """What to say of an operation that is not here; `deploy()` is told where its model lies."""
        if operation in HOSTING:
            container = body.get("PrimaryContainer")
            model = container.get("ModelDataUrl") if isinstance(container, dict) else None
            where = f" The model lies at {model}." if isinstance(model, str) else ""
            return f"{operation} is not supported here: Tunewright trains and tunes, and has no hosting.{where}"
        known = ", ".join(sorted([*self.creations, *self.methods]))
        return f"{operation} is not supported here; supported are {known}."
