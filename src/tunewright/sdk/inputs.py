"""Inputs of a training job: local names, `file://` and `s3://` names, and channels spelt out."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable
from urllib.parse import unquote, urlsplit

from tunewright.core.errors import Invalid, Problem
from tunewright.sdk.session import Session
from tunewright.sdk.shapes import Shape

DEFAULT_CHANNEL = "training"
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


@runtime_checkable
class HasConfig(Protocol):
    """An input that brings AMT's own channel members in `.config`, as SageMaker's TrainingInput does."""

    config: dict[str, Any]


Source: TypeAlias = str | os.PathLike[str] | HasConfig
Inputs: TypeAlias = Source | Mapping[str, Source] | None


class TrainingInput:
    """A channel with more to say than where its data lies.

    Args:
        s3_data: `s3://`, `file://` or a local name.
        distribution: `FullyReplicated` or `ShardedByS3Key`.
        compression: None or `Gzip`.
        content_type: a MIME type, for programs that read it.
        record_wrapping: None or `RecordIO`.
        s3_data_type: `S3Prefix`, `ManifestFile` or `AugmentedManifestFile`.
        input_mode: `File`, `FastFile` or `Pipe`; None is the training job's own.
        attribute_names: for augmented manifests.
    """

    def __init__(
        self,
        s3_data: str | os.PathLike[str],
        distribution: str | None = None,
        compression: str | None = None,
        content_type: str | None = None,
        record_wrapping: str | None = None,
        s3_data_type: str = "S3Prefix",
        input_mode: str | None = None,
        attribute_names: list[str] | None = None,
    ) -> None:
        source: Shape = {"S3DataType": s3_data_type, "S3Uri": os.fspath(s3_data)}
        source["S3DataDistributionType"] = distribution or "FullyReplicated"
        if attribute_names is not None:
            source["AttributeNames"] = attribute_names
        given = {
            "CompressionType": compression,
            "ContentType": content_type,
            "RecordWrapperType": record_wrapping,
            "InputMode": input_mode,
        }
        named = {key: value for key, value in given.items() if value is not None}
        self.config: dict[str, Any] = {"DataSource": {"S3DataSource": source}, **named}


def named(inputs: Inputs) -> dict[str, Source]:
    """Inputs by channel; a single one is the channel `training`. What is no source is found by `problems`."""
    if inputs is None:
        return {}
    if isinstance(inputs, Mapping):
        return {str(name): source for name, source in inputs.items()}
    return {DEFAULT_CHANNEL: inputs}


def problems(inputs: Inputs) -> list[Problem]:
    """What is wrong with local names among the inputs: not there, or empty."""
    found: list[Problem] = []
    for channel, source in named(inputs).items():
        where = f"inputs[{channel!r}]"
        if not _is_source(source):
            found.append(Problem(where, f"{source!r} is neither a path, a URI nor a TrainingInput."))
            continue
        uri = _uri_of(source)
        if uri is not None and (path := local_path(uri)) is not None:
            found += _path_problems(where, path)
        elif uri is not None and not uri.startswith("s3://"):
            found.append(Problem(where, f"{uri!r} has an unknown scheme. Use a local path, file:// or s3://."))
    return found


def channels(inputs: Inputs, session: Session, prefix: str) -> list[Shape]:
    """AMT's InputDataConfig; local names become `file://`, or go below `prefix` where only `s3://` will do."""
    shapes: list[Shape] = []
    for channel, source in named(inputs).items():
        shape = _channel(source)
        data = shape["DataSource"].get("S3DataSource")
        if data is not None and (path := local_path(data["S3Uri"])) is not None:
            uri = session.put_tree(path, f"{prefix}/input/{channel}") if session.uploads else path.as_uri()
            shape["DataSource"] = {**shape["DataSource"], "S3DataSource": {**data, "S3Uri": uri}}
        shapes.append({"ChannelName": channel, **shape})
    return shapes


def local_path(uri: str) -> Path | None:
    """The absolute path that a local name or a `file://` URI stands for; None for other schemes."""
    if uri.startswith("file://"):
        parts = urlsplit(uri)
        if parts.netloc not in ("", "localhost"):
            raise Invalid.one(uri, "a file:// URI names no host: write file:///absolute/path.")
        return Path(unquote(parts.path))
    return None if _SCHEME.match(uri) else Path(uri).expanduser().absolute()


def _is_source(value: object) -> bool:
    return isinstance(value, str | os.PathLike | HasConfig)


def _uri_of(source: Source) -> str | None:
    if isinstance(source, HasConfig):
        data = source.config.get("DataSource", {}).get("S3DataSource")
        return None if data is None else str(data["S3Uri"])
    return os.fspath(source)


def _channel(source: Source) -> Shape:
    if isinstance(source, HasConfig):
        return dict(source.config)
    data = {"S3DataType": "S3Prefix", "S3Uri": os.fspath(source), "S3DataDistributionType": "FullyReplicated"}
    return {"DataSource": {"S3DataSource": data}}


def _path_problems(where: str, path: Path) -> list[Problem]:
    if not path.exists():
        return [Problem(where, f"there is no file or directory {str(path)!r}.")]
    if path.is_dir() and not any(path.iterdir()):
        return [Problem(where, f"the directory {str(path)!r} is empty.")]
    return []
