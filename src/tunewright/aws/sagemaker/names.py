"""Names of things on the wire: ARNs, whose name part is in lower case."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tunewright.core.errors import Invalid
from tunewright.settings import Settings

_KINDS = {"hyper-parameter-tuning-job": "tuning", "training-job": "training"}
_ARN = re.compile(r"arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:[0-9]{12}:([a-z-]+)/(.+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Arns:
    """Makes ARNs of a region and an account."""

    region: str
    account: str

    @classmethod
    def of(cls, settings: Settings) -> Arns:
        return cls(settings.region, settings.account)

    def tuning(self, name: str) -> str:
        return f"arn:aws:sagemaker:{self.region}:{self.account}:hyper-parameter-tuning-job/{name.lower()}"

    def training(self, name: str) -> str:
        return f"arn:aws:sagemaker:{self.region}:{self.account}:training-job/{name.lower()}"


def parse_arn(arn: str) -> tuple[str, str]:
    """The kind (`tuning` or `training`) and the name in lower case. Raises Invalid for other resources."""
    found = _ARN.fullmatch(arn)
    kind = _KINDS.get(found[1]) if found else None
    if found is None or kind is None:
        raise Invalid.one("resourceArn", f"{arn!r} is not the ARN of a tuning job or a training job.")
    return kind, found[2]
