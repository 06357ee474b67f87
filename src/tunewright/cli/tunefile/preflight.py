"""All that can be known to be wrong with a tuning file before anything is made.

It is checked by itself, by this machine, and by the service's rules.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunewright.aws.sagemaker.locations import in_s3
from tunewright.aws.sagemaker.protocol import has_structure, read_request
from tunewright.aws.sagemaker.rules import tuning_problems
from tunewright.aws.sagemaker.rules_warmstart import Jobs, find_parents, inherited_metrics, warm_start_problems
from tunewright.aws.sagemaker.translate_request import Manner, tuning_spec
from tunewright.cli.tunefile.document import Plain, Where
from tunewright.cli.tunefile.fields import field_of
from tunewright.cli.tunefile.machine_check import unready
from tunewright.cli.tunefile.request import Draft, Request, TuningFile
from tunewright.cli.tunefile.rules import Finding, table
from tunewright.cli.tunefile.schema_check import cut_out, told
from tunewright.cli.tunefile.shelf import BucketShelf, HomeShelf
from tunewright.core.errors import Invalid, NotFound, Problem
from tunewright.core.job import JobStatus
from tunewright.core.reads import JobView
from tunewright.objects.local import LocalObjects
from tunewright.settings import Settings

WHOLE = {("training",), ("parameters",), ("strategy",), ("objective",)}
"""Fields without which there is no request to look at."""


def checked(
    path: Path, *, strict: bool, now: float, name: str | None, settings: Settings, jobs: Jobs | None
) -> tuple[TuningFile, Request]:
    """A tuning file in which nothing is wrong, and its request with nothing put in place yet.

    Args:
        jobs: the tuning jobs that there are; None for none.

    Raises:
        Invalid: with every problem of the file, in the order of its lines.
    """
    draft = Draft.of(path, strict=strict, now=now, name=name)
    found = list(draft.found)
    data, home = _readable(draft), settings.home
    file = draft.file(data)
    found += unready(file.base, data, draft.sound.given, settings, strict=strict)
    try:
        request = file.request(BucketShelf(None) if strict else HomeShelf(home, dry=True))
    except Invalid as error:
        found += [((), problem.message, False) for problem in error.problems]
    else:
        known = {where for where, _, _ in found} | draft.sound.cuts
        whole = not any(where[:1] == ("parameters",) for where in known)
        for finding in _by_service(request, home, jobs or _None(), strict=strict):
            if not _related(finding[0], known) and (whole or finding[0] != ("max_jobs",)):
                found.append(finding)
    if found:
        raise Invalid(told(draft.document, found))
    return file, request


def _readable(draft: Draft) -> dict[str, Plain]:
    """The file's data without anything that was found wrong, and with what a request cannot do without."""
    data = copy.deepcopy(draft.sound.data)
    wrong = {where for where, _, _ in draft.found if where and where not in WHOLE}
    for where in wrong:
        cut_out(data, where)
    training = table(data, "training")
    if wrong & {("training", "entry_point"), ("training", "source_dir")}:
        training.pop("entry_point", None)
        training.pop("source_dir", None)
    if "metric" not in table(data, "objective"):
        data["objective"] = {**table(data, "objective"), "metric": next(iter(table(training, "metrics")), "objective")}
    return data


def _related(where: Where, known: set[Where]) -> bool:
    """Whether something was said already of a field, of a part of it, or of what is around it."""
    return bool(where) and any(where[: len(other)] == other[: len(where)] for other in known if other)


class _None:
    """No tuning jobs at all."""

    def job(self, name: str) -> JobView:
        raise NotFound("tuning job", name)


class _Assumed(LocalObjects):
    """The object directory, with everything in it that a run would put there first."""

    def exists(self, uri: str) -> bool:
        return uri.startswith("s3://") or super().exists(uri)


def _by_service(request: Request, home: Path, jobs: Jobs, *, strict: bool) -> Iterator[Finding]:
    """All that the service would refuse, at the fields of the file."""
    for problem in _service_problems(request, home, jobs, strict=strict):
        yield field_of(problem.path, problem.message, request), problem.message, problem.extended_allows


def _service_problems(request: Mapping[str, Any], home: Path, jobs: Jobs, *, strict: bool) -> list[Problem]:
    sent, violations = read_request("CreateHyperParameterTuningJob", dict(request), strict=strict)
    problems = [
        Problem(each.path, f"{each.value} is refused: {_constraint(each.constraint)}.", each.extended_allows)
        for each in violations
    ]
    if not has_structure(violations):
        return problems
    wire = in_s3(sent)
    problems += _taken(wire["HyperParameterTuningJobName"], jobs)
    parents, unknown = find_parents(wire, jobs)
    inherited = inherited_metrics(wire, parents)
    problems += unknown + tuning_problems(wire, _Assumed(home / "objects"), inherited, strict=strict)
    if not problems and parents:
        spec = tuning_spec(wire, sent, inherited, Manner(strict, 0.0, lambda: 0))
        problems = warm_start_problems(spec, wire, parents)
    return problems


def _taken(name: str, jobs: Jobs) -> list[Problem]:
    try:
        job = jobs.job(name).job
    except NotFound:
        return []
    ways = ["choose another name, here or with --name"]
    if job.status is not JobStatus.FAILED and not (job.spec.strict and job.status.terminal):
        ways.append(f"go on with that one (tunewright resume {job.name})")
    first = "" if job.status.terminal else "stop it and "
    ways.append(f"{first}be rid of it (tunewright delete {job.name})")
    text = f"a tuning job called {name!r} already exists ({job.status}); {', '.join(ways[:-1])} or {ways[-1]}."
    return [Problem("hyperParameterTuningJobName", text)]


def _constraint(text: str) -> str:
    return text.replace("Member must", "it must").replace("regular expression pattern:", "the regular expression")
