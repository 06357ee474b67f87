"""Where inputs, outputs and checkpoints lie: S3's https addresses as `s3://`, and buckets that must be there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from tunewright.aws.sagemaker.protocol import Wire, shorten
from tunewright.core.errors import Invalid, Problem

WRITTEN = (("OutputDataConfig", "S3OutputPath"), ("CheckpointConfig", "S3Uri"))
"""Where a definition says to what places a training job writes."""

_AWS = re.compile(
    r"(?:(?P<bucket>[a-z0-9][a-z0-9.-]*)\.)?"
    r"s3(?:[.-](?:dualstack\.)?[a-z]{2}(?:-[a-z]+)+-[0-9])?\.amazonaws\.com(?:\.cn)?"
)


def s3_location(uri: str, endpoint: str = "") -> str:
    """An https address of S3's, or of the server's own S3, as `s3://bucket/key`; anything else as it is.

    Source: Amazon S3's user guide, path-style and virtual-hosted-style addresses.

    Args:
        endpoint: the server's own URL, "" for none.
    """
    parts = urlsplit_or_none(uri)
    if parts is None or parts.scheme != "https" or parts.query or parts.fragment:
        return uri
    bucket = _bucket_in(parts, endpoint)
    path = unquote(parts.path)
    if bucket is None:
        return uri
    name = f"{bucket}{path}" if bucket else path.lstrip("/")
    return f"s3://{name}" if name else uri


def _bucket_in(parts: SplitResult, endpoint: str) -> str | None:
    """The bucket that an address names by its host; "" when it is in the path, None for another host."""
    host = parts.netloc.lower()
    own = urlsplit(endpoint)
    if endpoint and own.scheme == "https":
        if host == own.netloc:
            return ""
        if host.endswith(f".{own.netloc}"):
            return host.removesuffix(f".{own.netloc}")
    found = _AWS.fullmatch(host)
    return None if found is None else found["bucket"] or ""


def in_s3(request: Wire, endpoint: str = "") -> Wire:
    """A creation's request with `s3_location` of what it names; the request itself is left as it was sent."""
    changed = dict(_definition(request, endpoint))
    if "TrainingJobDefinition" in request:
        changed["TrainingJobDefinition"] = _definition(request["TrainingJobDefinition"], endpoint)
    if "TrainingJobDefinitions" in request:
        changed["TrainingJobDefinitions"] = [_definition(body, endpoint) for body in request["TrainingJobDefinitions"]]
    return changed


def _definition(body: Wire, endpoint: str) -> Wire:
    changed = dict(body)
    for name, member in WRITTEN:
        if name in body:
            changed[name] = _located(body[name], member, endpoint)
    if "InputDataConfig" in body:
        changed["InputDataConfig"] = [_channel(channel, endpoint) for channel in body["InputDataConfig"]]
    return changed


def _channel(channel: Wire, endpoint: str) -> Wire:
    source = channel["DataSource"]
    if "S3DataSource" not in source:
        return channel
    located = _located(source["S3DataSource"], "S3Uri", endpoint)
    return {**channel, "DataSource": {**source, "S3DataSource": located}}


def _located(body: Mapping[str, Any], member: str, endpoint: str) -> Wire:
    return {**body, member: s3_location(body[member], endpoint)}


def bucket_problems(request: Wire, has_bucket: Callable[[str], bool] | None) -> list[Problem]:
    """Outputs and checkpoints of a creation's request, as `in_s3` leaves it, whose bucket is not there.

    Args:
        has_bucket: whether the bucket of a URI is there; None where none has to be.
    """
    if has_bucket is None:
        return []
    bodies = {"": request}
    if "TrainingJobDefinition" in request:
        bodies["trainingJobDefinition."] = request["TrainingJobDefinition"]
    for number, body in enumerate(request.get("TrainingJobDefinitions", []), start=1):
        bodies[f"trainingJobDefinitions.{number}.member."] = body
    named = {
        f"{where}{name[0].lower()}{name[1:]}.{member[0].lower()}{member[1:]}": body[name][member]
        for where, body in bodies.items()
        for name, member in WRITTEN
        if name in body and body[name][member].startswith("s3://")
    }
    return [problem for path, uri in named.items() for problem in _bucket_problem(path, uri, has_bucket)]


def _bucket_problem(path: str, uri: str, has_bucket: Callable[[str], bool]) -> Iterator[Problem]:
    try:
        if not has_bucket(uri):
            bucket = uri.removeprefix("s3://").partition("/")[0]
            text = f"there is no bucket {bucket!r}; make it (aws s3 mb s3://{bucket}), or name one that is there."
            yield Problem(path, f"{shorten(uri)!r}: {text}")
    except Invalid as error:
        yield from (Problem(path, f"{shorten(uri)!r}: {problem.message}") for problem in error.problems)
    except OSError as error:
        yield Problem(path, f"{shorten(uri)!r} can't be looked at: {error.strerror or error}.")


def urlsplit_or_none(uri: str) -> SplitResult | None:
    """The parts of a URI, or None for what is none."""
    try:
        return urlsplit(uri)
    except ValueError:
        return None
