"""Operations on the tags of tuning jobs and training jobs."""

from __future__ import annotations

from collections.abc import Mapping

from tunewright.aws.faults import fault_of, tuning_not_found
from tunewright.aws.sagemaker.limits import LIMITS
from tunewright.aws.sagemaker.names import parse_arn
from tunewright.aws.sagemaker.paging import position
from tunewright.aws.sagemaker.protocol import Wire
from tunewright.aws.sagemaker.service import Service, checked_tags
from tunewright.core.errors import LimitExceeded, NotFound


class TagOperations:
    """AddTags, ListTags, DeleteTags by ARN."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def add(self, request: Wire) -> Wire:
        """AddTags; all of them then. Raises Invalid, Fault for an unknown job, LimitExceeded for too many."""
        added = checked_tags(request, (), ())
        kind, name = parse_arn(request["ResourceArn"])
        total = {**self._tags(kind, name), **added}
        if len(total) > LIMITS["tags"].strict:
            raise LimitExceeded(f"A job may have {LIMITS['tags'].strict} tags, this request makes it {len(total)}.")
        return {"Tags": _listed(self._service.store.set_tags(kind, name, added, ()))}

    def list(self, request: Wire) -> Wire:
        """ListTags, in one page. Raises Invalid for what is no ARN or no NextToken of ours, and Fault as `add`."""
        position("ListTags", request)
        return {"Tags": _listed(self._tags(*parse_arn(request["ResourceArn"])))}

    def delete(self, request: Wire) -> Wire:
        """DeleteTags; keys that are not there are no error. Raises Invalid and Fault as `add`."""
        kind, name = parse_arn(request["ResourceArn"])
        self._tags(kind, name)
        self._service.store.set_tags(kind, name, {}, request["TagKeys"])
        return {}

    def _tags(self, kind: str, name: str) -> dict[str, str]:
        try:
            return self._service.store.tags(kind, name)
        except NotFound as error:
            raise (tuning_not_found(name) if kind == "tuning" else fault_of(error)) from None


def _listed(tags: Mapping[str, str]) -> list[Wire]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
