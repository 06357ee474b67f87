"""A tuning file's local names: where they lead, whether something is there, and their addresses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from tunewright.cli.tunefile.document import Plain, Where
from tunewright.cli.tunefile.rules import Finding, table
from tunewright.cli.tunefile.shelf import Shelf
from tunewright.core.errors import Invalid
from tunewright.core.suggest import did_you_mean
from tunewright.sdk.inputs import local_path


def missing_files(base: Path, training: Mapping[str, Plain]) -> Iterator[Finding]:
    """Local names that lead nowhere."""
    source = source_of(base, training)
    if source is not None and not source.is_dir() and not (source.is_file() and source.name.endswith(".tar.gz")):
        name = "source_dir" if "source_dir" in training else "entry_point"
        what = "a directory" if name == "source_dir" else "in a directory that is there"
        yield ("training", name), f"{str(training[name])!r} is not {what} ({source}).", False
    elif source is not None and source.is_dir() and "entry_point" in training:
        yield from _missing_script(source, base, training)
    for channel, entry in table(training, "inputs").items():
        uri = entry["uri"] if isinstance(entry, dict) else entry
        yield from _missing_input(("training", "inputs", channel), base, str(uri))


def _missing_script(source: Path, base: Path, training: Mapping[str, Plain]) -> Iterator[Finding]:
    where: Where = ("training", "entry_point")
    given = str(training["entry_point"])
    script = _script(base, source, training)
    if not script.is_relative_to(source):
        yield where, f"{given!r} is outside source_dir ({source}); put it inside.", False
    elif not script.is_file():
        hint = did_you_mean(script.name, [file.name for file in source.glob("*.py")])
        yield where, f"there is no file {given!r} in {source}.{hint}", False


def _missing_input(where: Where, base: Path, uri: str) -> Iterator[Finding]:
    if uri.startswith("s3://"):
        return
    try:
        path = local_path(uri if "://" in uri else str(base / Path(uri).expanduser()))
    except Invalid as error:
        yield from ((where, problem.message, False) for problem in error.problems)
        return
    if path is None:
        yield where, f"{uri!r} has an unknown scheme; use a path, file:// or s3://.", False
    elif not path.exists():
        yield where, f"there is no file or directory {uri!r} ({path}).", False
    elif path.is_dir() and not any(path.iterdir()):
        yield where, f"the directory {uri!r} is empty ({path}).", False


def source_of(base: Path, training: Mapping[str, Plain]) -> Path | None:
    """The script's directory on this disk: the one given, else the one that the script lies in."""
    given = training.get("source_dir")
    if given is not None:
        if str(given).startswith("s3://"):
            return None
        return local_path(str(given) if "://" in str(given) else str((base / Path(str(given)).expanduser()).resolve()))
    if "entry_point" not in training:
        return base
    return (base / Path(str(training["entry_point"])).expanduser()).resolve().parent


def _script(base: Path, source: Path, training: Mapping[str, Plain]) -> Path:
    """The script: inside source_dir where that is given, else beside the file."""
    given = Path(str(training["entry_point"])).expanduser()
    if "source_dir" in training and (given.is_absolute() or (source / given).exists()):
        return (source / given).resolve()
    beside = (base / given).resolve()
    return beside if "source_dir" not in training or beside.is_file() else (source / given).resolve()


def interpreter_of(base: Path, text: str) -> str:
    """A Python interpreter: a name that PATH knows, or its path; links stay, for a virtual environment's is one."""
    return str(base / Path(text).expanduser()) if "/" in text else text


class Places:
    """A file's local names as addresses."""

    def __init__(self, base: Path, training: Mapping[str, Plain], job: str, shelf: Shelf) -> None:
        self._base, self._training, self._job, self._shelf = base, training, job, shelf
        self.source = source_of(base, training)

    def absolute(self, text: str) -> Path:
        return (self._base / Path(text).expanduser()).resolve()

    def data(self, text: str, channel: str) -> str:
        """The address of an input: a path, or an address already."""
        if text.startswith("s3://"):
            return text
        path = local_path(text) if "://" in text else self.absolute(text)
        assert path is not None, "checked before"
        return self._shelf.data(self._job, channel, path)

    def program(self) -> str:
        """The script's name within its directory."""
        if self.source is None or not self.source.is_dir():
            return str(self._training["entry_point"])
        script = _script(self._base, self.source, self._training)
        return script.relative_to(self.source.resolve()).as_posix()

    def submit_directory(self) -> str:
        """The address of the script's directory; without source_dir only the script itself travels."""
        if self.source is None:
            return str(self._training["source_dir"])
        only = None
        if "source_dir" not in self._training:
            only = _script(self._base, self.source, self._training)
        return self._shelf.source(self._job, self.source, only)

    def output(self, given: Plain, kind: str) -> str:
        if given is None:
            return self._shelf.output(kind)
        text = str(given)
        return text if "://" in text else self._shelf.directory(self.absolute(text))
