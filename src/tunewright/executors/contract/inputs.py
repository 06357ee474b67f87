"""The input channels of a training job: files of a prefix or of a manifest, whole or a share of them for each host."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from tunewright.core.errors import Invalid
from tunewright.core.ports import Objects, Task
from tunewright.core.spec import Channel
from tunewright.core.trial import Failure
from tunewright.executors.contract import pipes
from tunewright.executors.contract.cluster import Cluster
from tunewright.executors.contract.prepare import DRIVERS
from tunewright.executors.reasons import Refused
from tunewright.executors.rooms import OPT_ML
from tunewright.executors.workdir import Workdir

SHARDED = "ShardedByS3Key"
MANIFEST, AUGMENTED = "ManifestFile", "AugmentedManifestFile"


def bring_channels(
    task: Task,
    workdir: Workdir,
    objects: Objects,
    base: str | None = None,
    *,
    piped: bool = False,
    shares: Mapping[str, str] | None = None,
) -> None:
    """Fetch every input channel.

    Args:
        base: stands for `/opt/ml` in the drivers' scripts; the job's directory by default. With `/opt/ml` itself
            they stay as they are.
        piped: channels in Pipe mode are going to be fed; else they are files like all others.
        shares: directories with this host's share of a channel, by the channel's name; they are moved into place.

    Raises:
        Refused: a channel's files are missing or cannot be read.
    """
    for channel in task.training.channels:
        feeds = piped and channel.input_mode == pipes.MODE
        try:
            target = Path(pipes.source(workdir, channel.name) if feeds else workdir.channel(channel.name))
            if share := (shares or {}).get(channel.name):
                target.parent.mkdir(parents=True, exist_ok=True)
                os.rename(share, target)
            else:
                _fetch(channel, target, objects)
            if feeds:
                pipes.check(channel, target)
        except (OSError, Invalid) as error:
            raise _no_data(channel, str(error)) from error
        if channel.name == DRIVERS and base != OPT_ML:
            _localise(str(target), base or workdir.base)


def shard(task: Task, cluster: Cluster, workdir: Workdir, objects: Objects) -> dict[str, dict[str, str]]:
    """Deal out the channels that are sharded over several hosts, one object to each host in turn, in order of key.

    Returns:
        By host and channel, the directory that holds its share (empty when there are fewer objects than hosts).

    Raises:
        Refused: a channel's files are missing or cannot be read.
    """
    shares: dict[str, dict[str, str]] = {}
    for channel in task.training.channels:
        hosts = cluster.served(channel)
        if channel.distribution != SHARDED or len(hosts) < 2:
            continue
        whole = Path(workdir.at("shards", "whole"))
        try:
            _fetch(channel, whole, objects)
            names = _units(channel, str(whole))
            for host in hosts:
                shares.setdefault(host, {})[channel.name] = workdir.at("shards", host, channel.name)
                os.makedirs(shares[host][channel.name])
            for number, name in enumerate(names):
                goal = os.path.join(shares[hosts[number % len(hosts)]][channel.name], name)
                os.makedirs(os.path.dirname(goal), exist_ok=True)
                os.rename(whole / name, goal)
            shutil.rmtree(whole)
        except (OSError, Invalid) as error:
            raise _no_data(channel, str(error)) from error
    return shares


def _units(channel: Channel, whole: str) -> list[str]:
    """What is dealt out: files, or the lines of an augmented manifest."""
    if channel.data_type == AUGMENTED:
        return sorted(os.listdir(whole))
    return sorted(
        os.path.relpath(os.path.join(folder, name), whole) for folder, _, some in os.walk(whole) for name in some
    )


def _no_data(channel: Channel, why: str) -> Refused:
    return Refused(Failure.CLIENT, f"Data download failed for the channel {channel.name!r}: {why}")


def _fetch(channel: Channel, target: Path, objects: Objects) -> None:
    """Bring a channel's files below `target`. Raises Refused when there are none."""
    if channel.data_type == MANIFEST:
        count = _fetch_manifest(channel, target, objects)
    elif channel.data_type == AUGMENTED:
        count = _fetch_augmented(channel, target, objects)
    else:
        count = objects.fetch(channel.uri, target)
    if not count:
        raise _no_data(channel, f"No objects found under {channel.uri!r}. Check that files exist there.")


def _text(uri: str, target: Path, objects: Objects) -> str:
    """The text of one object that is brought aside and not kept."""
    folder = target.with_name(f"{target.name}-manifest")
    try:
        if not objects.fetch(uri, folder):
            raise Invalid.one(uri, "does not exist.")
        [name] = os.listdir(folder)
        return (folder / name).read_text(encoding="utf-8")
    except (ValueError, IsADirectoryError) as error:
        raise Invalid.one(uri, f"is not one text file: {error}.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fetch_manifest(channel: Channel, target: Path, objects: Objects) -> int:
    """Fetch the files that a manifest lists: `[{"prefix": "s3://..."}, "relative/key", ...]`."""
    text = _text(channel.uri, target, objects)
    try:
        listing = json.loads(text)
        prefix = listing[0]["prefix"]
        keys = listing[1:]
        if not all(isinstance(key, str) for key in [prefix, *keys]):
            raise ValueError("keys must be strings")
        if not _may_name(channel, prefix):
            raise ValueError(f"what a manifest in S3 lists lies in S3, not at {prefix!r}")
    except (ValueError, LookupError, TypeError) as error:
        raise Invalid.one(
            channel.uri, f"is not a manifest, [{{'prefix': 's3://...'}}, 'key', ...]: {error}."
        ) from error
    for key in keys:
        folder = os.path.normpath(os.path.join(target, os.path.dirname(key)))
        if folder != str(target) and not folder.startswith(f"{target}/"):
            raise Invalid.one(channel.uri, f"lists {key!r}, which leads outside the channel.")
        if not objects.fetch(prefix + key, Path(folder)):
            raise Invalid.one(channel.uri, f"lists {key!r}, but there is no {prefix + key}.")
    return len(keys)


def _fetch_augmented(channel: Channel, target: Path, objects: Objects) -> int:
    """Bring what an augmented manifest's lines hold: for each line, the chosen attributes as files, in order.

    An attribute whose name ends with `-ref` names an object, which is brought; any other is its own value: a text as
    it is, all else as JSON. A line's files lie in a directory of their own, named by its number.
    """
    count = 0
    for number, line in enumerate(_text(channel.uri, target, objects).splitlines()):
        if not line.strip():
            continue
        folder = target / f"{number:08d}"
        folder.mkdir(parents=True)
        for place, (name, value) in enumerate(_attributes(channel, number, line)):
            goal = folder / f"{place:02d}"
            if not name.endswith("-ref"):
                goal.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
            elif not isinstance(value, str) or not _may_name(channel, value) or objects.fetch(value, goal) != 1:
                raise Invalid.one(
                    channel.uri, f"line {number + 1}: {name} is {value!r}, where there is no such object."
                )
        count += 1
    return count


def _may_name(channel: Channel, uri: str) -> bool:
    """Whether a channel's manifest may list an object: what lies in S3 was written by others, who see no disk here."""
    return uri.startswith("s3://") or not channel.uri.startswith("s3://")


def _attributes(channel: Channel, number: int, line: str) -> list[tuple[str, object]]:
    try:
        values = json.loads(line)
        return [(name, values[name]) for name in channel.attributes]
    except (ValueError, LookupError, TypeError) as error:
        wanted = ", ".join(channel.attributes)
        reason = f"line {number + 1} is not a JSON object with the attributes {wanted}: {error!r}."
        raise Invalid.one(channel.uri, reason) from error


def _localise(directory: str, base: str) -> None:
    """Replace `/opt/ml` in small text files by the job's directory; the files may be links and are replaced."""
    for folder, _, names in os.walk(directory):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.getsize(path) < 1 << 20:
                content = Path(path).read_bytes()
                if OPT_ML.encode() in content:
                    mode = os.stat(path).st_mode & 0o777
                    os.unlink(path)
                    Path(path).write_bytes(content.replace(OPT_ML.encode(), base.encode()))
                    os.chmod(path, mode | 0o600)
