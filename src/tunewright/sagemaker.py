"""Local mode of the SageMaker Python SDK v2, with tuning and without Docker.

    from tunewright.sagemaker import LocalSession

    estimator = SKLearn(entry_point="train.py", instance_type="local", sagemaker_session=LocalSession(), ...)
    HyperparameterTuner(estimator, ...).fit({"train": "file:///home/me/data"})

Needs the SDK (`pip install "sagemaker<3"`). Nothing of the SDK is changed: its session is given another client.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import boto3
from sagemaker.local import LocalSession as SdkLocalSession

from tunewright.sdk.clients import client
from tunewright.settings import Settings

VOLUME_GB = 1
_NOT_LOCAL = ("DebugHookConfig", "DebugRuleConfigurations", "ProfilerConfig", "ProfilerRuleConfigurations")


class LocalSession(SdkLocalSession):  # type: ignore[misc]  # the SDK has no types
    """A local session whose jobs Tunewright runs: estimators' `fit` and tuning jobs alike.

    Source directories and `file://` inputs are used where they lie; models go to `output` in Tunewright's home
    directory unless the estimator names a place.

    Args:
        url: a Tunewright server started with `--extended` on this machine; None runs jobs in this process.
        boto_session, arguments: as for the SDK's own local session.
    """

    def __init__(self, boto_session: Any = None, *, url: str | None = None, **arguments: Any) -> None:
        self._settings = Settings.load()
        self._url = url
        session = boto_session or boto3.session.Session(
            aws_access_key_id="tunewright", aws_secret_access_key="tunewright", region_name=self._settings.region
        )
        super().__init__(
            boto_session=session, default_bucket=arguments.pop("default_bucket", "tunewright"), **arguments
        )

    def _initialize(self, *arguments: Any, **named: Any) -> None:
        super()._initialize(*arguments, **named)
        # Code is taken from where it lies, as the SDK's own local mode does when told so.
        self.config = {"local": {"local_code": True}}
        self.sagemaker_client = _LocalClient(client(self._url), f"file://{self._settings.home / 'output'}")

    def logs_for_job(self, job_name: str, wait: bool = False, poll: int = 2, *_: Any, **__: Any) -> None:
        """Wait for a training job. Its log is printed by `tunewright logs`."""
        if wait:
            self.wait_for_job(job_name, poll)

    def expand_role(self, role: str) -> str:
        """Any name does for a role here."""
        return role if "/" in role else f"arn:aws:iam::{self._settings.account}:role/{role}"

    def account_id(self) -> str:
        """The account in ARNs; nobody is asked for it."""
        return self._settings.account


class _LocalClient:
    """A SageMaker client that takes what local mode sends."""

    def __init__(self, client: Any, output: str) -> None:
        self._client, self._output = client, output

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or name == "_client":  # of a copy that is being made, which has none yet
            raise AttributeError(name)
        return getattr(self._client, name)

    def create_training_job(self, **request: Any) -> Any:
        return self._client.create_training_job(**self._definition(_without_none(request)))

    def create_hyper_parameter_tuning_job(self, **request: Any) -> Any:
        request = _without_none(request)
        if "TrainingJobDefinition" in request:
            request["TrainingJobDefinition"] = self._definition(request["TrainingJobDefinition"])
        for number, each in enumerate(request.get("TrainingJobDefinitions", [])):
            request["TrainingJobDefinitions"][number] = self._definition(each)
        return self._client.create_hyper_parameter_tuning_job(**request)

    def _definition(self, body: dict[str, Any]) -> dict[str, Any]:
        body = {name: value for name, value in body.items() if name not in _NOT_LOCAL}
        for channel in body.get("InputDataConfig", []):
            channel["DataSource"] = _on_disk(channel["DataSource"])
        output = body.get("OutputDataConfig", {})
        if not output.get("S3OutputPath"):
            output["S3OutputPath"] = self._output
        body["OutputDataConfig"] = output
        for name in ("ResourceConfig", "HyperParameterTuningResourceConfig"):
            if name in body and "InstanceConfigs" not in body[name]:
                body[name].setdefault("VolumeSizeInGB", VOLUME_GB)
        return body


def _on_disk(source: Mapping[str, Any]) -> Mapping[str, Any]:
    """A data source as the API knows it; local mode has one of its own for files."""
    if "FileDataSource" not in source:
        return source
    path = os.path.abspath(os.path.expanduser(source["FileDataSource"]["FileUri"].removeprefix("file://")))
    return {
        "S3DataSource": {
            "S3DataType": "S3Prefix",
            "S3Uri": f"file://{path}",
            "S3DataDistributionType": source["FileDataSource"].get("FileDataDistributionType", "FullyReplicated"),
        }
    }


def _without_none(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _without_none(each) for name, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_none(each) for each in value]
    return value
