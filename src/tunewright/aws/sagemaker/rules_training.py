"""Service rules of one training definition, of a tuning job or plain: image, metrics, data, resources, times."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator

from tunewright.aws.sagemaker import builtin
from tunewright.aws.sagemaker.extension import is_piece, meant, unpack
from tunewright.aws.sagemaker.limits import LIMITS
from tunewright.aws.sagemaker.locations import urlsplit_or_none
from tunewright.aws.sagemaker.patterns import pattern_problem
from tunewright.aws.sagemaker.protocol import Wire, shorten
from tunewright.core.errors import Invalid, Problem
from tunewright.core.ports import Objects

DAY = 86_400.0
SOURCES = ("S3DataSource", "FileSystemDataSource", "DatasetSource")
FLAT_FIELDS = ("InstanceType", "InstanceCount", "VolumeSizeInGB")
ONE_KIND = ("InstanceType", "InstanceGroups", "InstancePlacementConfig")
SELECTED = ("SelectedInstanceType", "SelectedInstanceCount")


def training_problems(
    path: str, body: Wire, static: dict[str, str], objects: Objects, *, strict: bool
) -> Iterator[Problem]:
    """All that is wrong with a definition by itself.

    Args:
        path: where it stands in the request, "" for a plain training job.
        body: a HyperParameterTrainingJobDefinition, or a CreateTrainingJob request.
        static: its static hyperparameters.
    """
    at = functools.partial(_join, path)
    yield from _algorithm(at("algorithmSpecification"), body.get("AlgorithmSpecification", {}), static)
    yield from _metrics(at("algorithmSpecification.metricDefinitions"), body.get("AlgorithmSpecification", {}))
    yield from _extension(at("staticHyperParameters") if path else "hyperParameters", static, strict=strict)
    yield from _isolation(at("enableNetworkIsolation"), body, static)
    yield from _channels(at("inputDataConfig"), body.get("InputDataConfig", []), objects)
    yield from _serving(at("inputDataConfig"), body)
    yield from _uris(at, body)
    yield from _resources(at, body)
    yield from _preferences(at, body)
    yield from _times(at, body, strict=strict)


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _algorithm(path: str, body: Wire, static: dict[str, str]) -> Iterator[Problem]:
    image, name = body.get("TrainingImage"), body.get("AlgorithmName")
    if image and name:
        yield Problem(path, f"has both TrainingImage {image!r} and AlgorithmName {name!r}; give one of them.")
    elif image and image.startswith("-"):
        yield Problem(f"{path}.trainingImage", f"{image!r} begins with a hyphen, as no image's name does.")
    elif not image and not name:
        yield Problem(path, "needs TrainingImage or AlgorithmName.")
    elif name and builtin.SCRIPT in static:
        text = f"{name!r} runs no script; leave out AlgorithmName or the hyperparameter {builtin.SCRIPT}."
        yield Problem(f"{path}.algorithmName", text)
    elif name and builtin.algorithm_of(body, static) is None:
        known = ", ".join(builtin.ALGORITHMS)
        yield Problem(f"{path}.algorithmName", f"{name!r} is not an algorithm known here; known are {known}.")
    elif name and body.get("MetricDefinitions"):
        text = f"the metric definitions of {name!r} can't be overridden; retry without them."
        yield Problem(f"{path}.metricDefinitions", text)


def _metrics(path: str, body: Wire) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, metric in enumerate(body.get("MetricDefinitions", []), start=1):
        where = f"{path}.{number}.member"
        if metric["Name"] in seen:
            yield Problem(f"{where}.name", f"the metric {metric['Name']!r} is defined more than once; define it once.")
        seen.add(metric["Name"])
        if why := pattern_problem(metric["Regex"]):
            yield Problem(f"{where}.regex", f"the pattern {metric['Regex']!r} of {metric['Name']!r} {why}")


def _extension(path: str, static: dict[str, str], *, strict: bool) -> Iterator[Problem]:
    pieces = [key for key in static if is_piece(key)]
    if not pieces:
        return
    if strict:
        yield Problem(f"{path}.{pieces[0]}", "is Tunewright's own extension, which strict mode refuses.", True)
        return
    try:
        unpack(static)
    except Invalid as error:
        yield from (Problem(f"{path}.{problem.path}", problem.message) for problem in error.problems)


def _isolation(path: str, body: Wire, static: dict[str, str]) -> Iterator[Problem]:
    if not body.get("EnableNetworkIsolation"):
        return
    with contextlib.suppress(Invalid):  # which is told of by `_extension`
        if unpack(static).function is not None:
            yield Problem(
                path, "a Python function has the network of its worker; leave it out, or train with a script."
            )


def _channels(path: str, channels: list[Wire], objects: Objects) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, channel in enumerate(channels, start=1):
        where, name = f"{path}.{number}.member", channel["ChannelName"]
        if name in seen:
            yield Problem(f"{where}.channelName", f"the channel {name!r} is given more than once; rename one.")
        seen.add(name)
        if name in (".", ".."):
            yield Problem(f"{where}.channelName", f"{name!r} is no name for a directory; rename it.")
        sources = [kind for kind in SOURCES if kind in channel["DataSource"]]
        if len(sources) != 1:
            yield Problem(f"{where}.dataSource", f"needs exactly one source, got {', '.join(sources) or 'none'}.")
        elif sources == ["S3DataSource"]:
            yield from _source(f"{where}.dataSource.s3DataSource", channel["DataSource"]["S3DataSource"], objects)
        else:
            yield Problem(f"{where}.dataSource", f"{sources[0]} is not supported here; use an S3DataSource.")


def _serving(path: str, body: Wire) -> Iterator[Problem]:
    """How channels are to be served: what the mode and the cluster do not allow."""
    mode = body.get("AlgorithmSpecification", {}).get("TrainingInputMode", "File")
    groups = [group["InstanceGroupName"] for group in body.get("ResourceConfig", {}).get("InstanceGroups", [])]
    for number, channel in enumerate(body.get("InputDataConfig", []), start=1):
        source = channel["DataSource"].get("S3DataSource", {})
        where, served = f"{path}.{number}.member", channel.get("InputMode", mode)
        if source.get("S3DataType") == "AugmentedManifestFile":
            if served != "Pipe":
                text = (
                    f"is {served} with an AugmentedManifestFile, which is for Pipe mode alone; set InputMode to Pipe."
                )
                yield Problem(f"{where}.inputMode", text)
            if not source.get("AttributeNames"):
                text = "are needed with an AugmentedManifestFile: the attributes of a line that the program is to get."
                yield Problem(f"{where}.dataSource.s3DataSource.attributeNames", text)
        unknown = [name for name in source.get("InstanceGroupNames", []) if name not in groups]
        if unknown:
            known = f"there are {', '.join(groups)}" if groups else "the ResourceConfig has no InstanceGroups"
            text = f"name {', '.join(unknown)}, but {known}."
            yield Problem(f"{where}.dataSource.s3DataSource.instanceGroupNames", text)


def _source(path: str, source: Wire, objects: Objects) -> Iterator[Problem]:
    uri = source["S3Uri"]
    if source["S3DataType"] not in ("S3Prefix", "ManifestFile", "AugmentedManifestFile"):
        yield Problem(f"{path}.s3DataType", f"{source['S3DataType']!r} is not supported here; use S3Prefix.")
        return
    if uri.startswith("https:"):
        yield _elsewhere(f"{path}.s3Uri", uri)
        return
    try:
        found = objects.exists(uri)
    except Invalid as error:
        yield from (Problem(f"{path}.s3Uri", f"{shorten(uri)!r}: {problem.message}") for problem in error.problems)
        return
    except OSError as error:
        yield Problem(f"{path}.s3Uri", f"{shorten(uri)!r} can't be read: {error.strerror or error}.")
        return
    if found:
        return
    if uri.startswith("file:"):
        yield Problem(f"{path}.s3Uri", f"no file and no filled directory at {shorten(uri)!r}.")
    else:
        text = (
            f'No S3 objects found under S3 URL "{shorten(uri)}" given in input data source. Please ensure that the'
            " bucket exists in the selected region, that objects exist under that prefix, and that the role has"
            " s3:ListBucket permissions on the bucket."
        )
        yield Problem("", text)


def _uris(at: Callable[[str], str], body: Wire) -> Iterator[Problem]:
    given = {
        "outputDataConfig.s3OutputPath": body.get("OutputDataConfig", {}).get("S3OutputPath"),
        "checkpointConfig.s3Uri": body.get("CheckpointConfig", {}).get("S3Uri"),
    }
    for name, uri in given.items():
        if uri is None:
            continue
        parts = urlsplit_or_none(uri)
        if parts is None or (parts.scheme == "file" and (parts.netloc or ".." in parts.path.split("/"))):
            text = f"{shorten(uri)!r} is no absolute location; use s3://bucket/prefix or file:///directory."
            yield Problem(at(name), text)
        elif parts.scheme == "https":
            yield _elsewhere(at(name), uri)


def _elsewhere(path: str, uri: str) -> Problem:
    """What is wrong with an https address that `locations.s3_location` made nothing of."""
    text = "is an https address that is neither Amazon S3's nor this server's; write it as s3://bucket/prefix."
    return Problem(path, f"{shorten(uri)!r} {text}")


def _resources(at: Callable[[str], str], body: Wire) -> Iterator[Problem]:
    tuned = body.get("HyperParameterTuningResourceConfig")
    if tuned is None:
        return
    path = at("hyperParameterTuningResourceConfig")
    if "ResourceConfig" in body:
        yield Problem(path, "is given together with ResourceConfig; give one of them.")
    flat = [name for name in FLAT_FIELDS if name in tuned]
    if "InstanceConfigs" in tuned and flat:
        yield Problem(path, f"has InstanceConfigs and also {', '.join(flat)}; give one of the two forms.")


def _preferences(at: Callable[[str], str], body: Wire) -> Iterator[Problem]:
    """InstancePreferences: instance types in the order in which they are tried."""
    given = body.get("ResourceConfig", {})
    for name in (name for name in SELECTED if name in given):
        yield Problem(at(f"resourceConfig.{name[0].lower()}{name[1:]}"), "is chosen by the service; leave it out.")
    listed = given.get("InstancePreferences")
    if listed is None:
        return
    path = at("resourceConfig.instancePreferences")
    others = [name for name in ONE_KIND if name in given]
    if others:
        yield Problem(path, f"can't be combined with {', '.join(others)}; give one of them.")
    if body.get("EnableManagedSpotTraining"):
        yield Problem(path, "can't be combined with EnableManagedSpotTraining; give one of them.")
    counted = [each["InstanceType"] for each in listed if "InstanceCount" in each]
    if counted if "InstanceCount" in given else len(counted) < len(listed):
        text = "InstanceCount belongs on every preference, or once on ResourceConfig and on none of them."
        yield Problem(path, f"{len(counted)} of {len(listed)} preferences have InstanceCount; {text}")
    types = [each["InstanceType"] for each in listed]
    if twice := sorted({kind for kind in types if types.count(kind) > 1}):
        yield Problem(path, f"has {', '.join(twice)} more than once.")


def _times(at: Callable[[str], str], body: Wire, *, strict: bool) -> Iterator[Problem]:
    stopping = body.get("StoppingCondition", {})
    runtime, wait = stopping.get("MaxRuntimeInSeconds", DAY), stopping.get("MaxWaitTimeInSeconds")
    limit = LIMITS["training_runtime"]
    if limit.exceeded(runtime, strict):
        yield Problem(at("stoppingCondition.maxRuntimeInSeconds"), f"{runtime} is over {limit.strict} (28 days).", True)
    spot = bool(body.get("EnableManagedSpotTraining"))
    path = at("stoppingCondition.maxWaitTimeInSeconds")
    if wait is None:
        if spot and strict:
            text = f"must be present with EnableManagedSpotTraining, and be at least MaxRuntimeInSeconds, {runtime:g}."
            yield Problem(path, text, True)
    elif not spot:
        text = "Invalid MaxWaitTimeInSeconds. It is only supported when EnableManagedSpotTraining is set to true"
        yield Problem("", text)
    elif wait < runtime:
        yield Problem(path, f"{wait} is less than MaxRuntimeInSeconds {runtime:g}; it must be at least that.")


def objective_problem(path: str, objective: str, defined: list[str]) -> Problem:
    """AMT's text for an objective that no metric definition names, with the names that there are."""
    names = f"defined are {', '.join(map(repr, defined))}" if defined else "none is defined"
    text = (
        "A metric is required for this hyperparameter tuning job objective. Provide a metric in the metric"
        f" definitions. The objective is {objective!r}; {names}{meant(objective, defined)}"
    )
    return Problem("", f"{text} ({path}.algorithmSpecification.metricDefinitions).")
