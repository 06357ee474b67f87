"""Real botocore clients: one whose HTTP is answered in this process, and one against a server.

Paginators, waiters, exceptions and the checks before sending are botocore's own, so that the path in process
is the path on the wire. The in-process client reads neither the user's AWS configuration nor the network.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from typing import Any

import botocore.session
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.configprovider import BOTOCORE_DEFAUT_SESSION_VARIABLES

from tunewright.aws.faults import Answer
from tunewright.aws.sagemaker.protocol import loader

Handle = Callable[[str, bytes], Answer]

ENDPOINT = "http://tunewright.invalid"
TARGET_PREFIX = "SageMaker."


def make_client(handle: Handle, region: str) -> Any:
    """A botocore SageMaker client answered by `handle(operation, body)`."""
    client = _isolated_session().create_client(
        "sagemaker",
        region_name=region,
        endpoint_url=ENDPOINT,
        aws_access_key_id="tunewright",
        aws_secret_access_key="tunewright",
        config=Config(retries={"total_max_attempts": 1, "mode": "legacy"}, parameter_validation=True, proxies={}),
    )

    def answer(request: Any, **_: object) -> AWSResponse:
        target = _text(request.headers["X-Amz-Target"])
        status, headers, body = handle(target.removeprefix(TARGET_PREFIX), _bytes(request.body))
        return AWSResponse(request.url, status, headers, _Raw(body))

    client.meta.events.register("before-send.sagemaker", answer)
    return client


def remote_client(url: str, region: str) -> Any:
    """A botocore SageMaker client against a Tunewright server.

    Credentials are the user's own where configured (environment, profile), else a placeholder that suffices for
    a server without keys.
    """
    session = session_of_user()
    session.register_component("data_loader", loader())
    return session.create_client("sagemaker", region_name=region, endpoint_url=url)


def session_of_user() -> botocore.session.Session:
    """A session with the user's own credentials (environment, profile), else with a placeholder's.

    No other machine is asked for credentials: that takes long where there is none to answer.
    """
    session = botocore.session.Session()
    resolver = session.get_component("credential_provider")
    for remote in ("container-role", "iam-role"):
        resolver.remove(remote)
    if session.get_credentials() is None:
        session.set_credentials("tunewright", "tunewright")
    return session


def _isolated_session() -> botocore.session.Session:
    """A session that looks at no environment variable, no file of the user's, and no network."""
    variables = {
        name: (None, None, default, convert)
        for name, (_, _, default, convert) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()
    }
    session = botocore.session.Session(session_vars=variables)
    session.set_config_variable("config_file", os.devnull)
    session.set_config_variable("credentials_file", os.devnull)
    session.register_component("data_loader", loader())
    return session


class _Raw(io.BytesIO):
    """What botocore reads an answer's body from."""

    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def _bytes(value: str | bytes | None) -> bytes:
    return value.encode() if isinstance(value, str) else value or b""
