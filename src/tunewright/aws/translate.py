"""Between wire dictionaries and the heart's values, in one place for the other rooms.

Requests become specifications in `translate_request`, jobs and training jobs as read become answers in
`translate_job` and `translate_trial`.
"""

from __future__ import annotations

from tunewright.aws.names import Arns
from tunewright.aws.translate_request import warnings_for

__all__ = ["training_arn", "tuning_arn", "warnings_for"]


def tuning_arn(region: str, account: str, name: str) -> str:
    return Arns(region, account).tuning(name)


def training_arn(region: str, account: str, name: str) -> str:
    return Arns(region, account).training(name)
