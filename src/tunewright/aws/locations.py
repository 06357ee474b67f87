"""Where inputs, outputs and checkpoints lie: S3's https addresses as `s3://`, and buckets that must be there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from tunewright.aws.protocol import Wire

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
    for name, member in (("OutputDataConfig", "S3OutputPath"), ("CheckpointConfig", "S3Uri")):
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


def urlsplit_or_none(uri: str) -> SplitResult | None:
    """The parts of a URI, or None for what is none."""
    try:
        return urlsplit(uri)
    except ValueError:
        return None
