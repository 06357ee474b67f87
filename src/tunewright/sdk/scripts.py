"""Estimators for training programs: a script of the user's, or a built-in algorithm."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from tunewright.core.errors import Problem
from tunewright.sdk import packing
from tunewright.sdk.estimators import EstimatorBase
from tunewright.sdk.inputs import local_path
from tunewright.sdk.session import Session

SCRIPT_IMAGE = "tunewright/script"


class Estimator(EstimatorBase):
    """A training script under SageMaker's contract.

    The script gets its hyperparameters as `--name value` arguments (and in `SM_HPS`, `SM_HP_<NAME>`), finds its
    inputs in `SM_CHANNEL_<NAME>`, writes its model to `SM_MODEL_DIR`, and prints its metrics or calls
    `tunewright.report`.

    Args:
        entry_point: the script: a path, relative to `source_dir` when that is given.
        source_dir: a directory (or `s3://`, `file://` name of a sourcedir.tar.gz) that is there for the script.
            Without it only the script itself is.
        python: the interpreter that runs the script; None is the one Tunewright runs in.
        image_uri: a TrainingImage to name instead of ours, for servers that map images.
        **options: as `EstimatorBase`: hyperparameters, metric_definitions, environment, output_path,
            base_job_name, instance_count, instance_type, max_run, checkpoint_s3_uri, cpus, gpus, role, tags, ...
    """

    def __init__(
        self,
        entry_point: str | os.PathLike[str],
        source_dir: str | os.PathLike[str] | None = None,
        *,
        python: str | os.PathLike[str] | None = None,
        image_uri: str | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.entry_point = os.fspath(entry_point)
        self.source_dir = None if source_dir is None else os.fspath(source_dir)
        self.python = None if python is None else os.fspath(python)
        self.image = image_uri or SCRIPT_IMAGE

    def __repr__(self) -> str:
        source = "" if self.source_dir is None else f", source_dir={self.source_dir!r}"
        return f"Estimator({self.entry_point!r}{source})"

    def stem(self) -> str:
        return Path(self.entry_point).stem

    def own_problems(self, session: Session) -> list[Problem]:
        found = self._source_problems()
        if self.python is not None:
            if session.strict:
                found.append(Problem("python", "AMT has no field for an interpreter.", True))
            if self._interpreter() is None:
                found.append(Problem("python", f"there is no executable {self.python!r}; name an interpreter's path."))
        return found

    def program(self, session: Session, job: str) -> tuple[dict[str, str], dict[str, object]]:
        program, directory = self._submit(session, job)
        named = {"sagemaker_program": program, "sagemaker_submit_directory": directory}
        return named, {} if self.python is None else {"python": self._interpreter() or self.python}

    def _submit(self, session: Session, job: str) -> tuple[str, str]:
        """The program's name, and the URI of the directory or archive that holds it."""
        if self.source_dir is not None and local_path(self.source_dir) is None:
            return self.entry_point, self.source_dir
        directory, script = self._places()
        program = script.relative_to(directory).as_posix()
        if directory.is_file():
            return Path(self.entry_point).as_posix(), self._archive(session, directory.read_bytes(), job)
        if self.source_dir is not None and not session.uploads:
            return program, directory.as_uri()
        only = script if self.source_dir is None else None
        return program, self._archive(session, packing.pack(directory, only), job)

    def _archive(self, session: Session, content: bytes, job: str) -> str:
        """Keep an archive where training jobs find it: by content at home, by job in `s3://`."""
        if session.local is not None and not session.uploads:
            target = packing.kept_at(session.local.settings.home, content)
            packing.write_once(target, content)
            return target.as_uri()
        with packing.scratch(content) as path:
            return session.put_file(path, f"{job}/source/{packing.ARCHIVE}")

    def _places(self) -> tuple[Path, Path]:
        """The directory (or archive) that is submitted, and the script in it."""
        if self.source_dir is None:
            script = Path(self.entry_point).expanduser().absolute()
            return script.parent, script
        directory = local_path(self.source_dir) or Path(self.source_dir)
        return directory, directory / self.entry_point

    def _source_problems(self) -> list[Problem]:
        if self.source_dir is not None and local_path(self.source_dir) is None:
            return []
        directory, script = self._places()
        if self.source_dir is not None and directory.is_file():
            return []
        if self.source_dir is not None and not directory.is_dir():
            return [Problem("source_dir", f"there is no directory {str(directory)!r}.")]
        if not script.exists():
            return [Problem("entry_point", f"there is no file {str(script)!r}.")]
        if not script.is_file():
            return [Problem("entry_point", f"{str(script)!r} is not a file; name the script to run.")]
        if directory.resolve() not in script.resolve().parents:
            return [Problem("entry_point", f"{self.entry_point!r} lies outside of source_dir {str(directory)!r}.")]
        return packing.size_problems(directory) if self.source_dir is not None else []

    def _interpreter(self) -> str | None:
        """The interpreter's absolute path; links are kept, for they make virtual environments what they are."""
        found = shutil.which(os.path.expanduser(self.python or ""))
        return None if found is None else os.path.abspath(found)


class AlgorithmEstimator(EstimatorBase):
    """A built-in algorithm, or whatever else a server runs for a TrainingImage: no script of the user's.

    Args:
        image_uri: the TrainingImage that names the algorithm.
        **options: as `EstimatorBase`.
    """

    def __init__(self, image_uri: str, **options: Any) -> None:
        super().__init__(**options)
        self.image = image_uri

    def __repr__(self) -> str:
        return f"AlgorithmEstimator({self.image!r})"

    def stem(self) -> str:
        return self.image.rpartition("/")[2].partition(":")[0]

    def own_problems(self, session: Session) -> list[Problem]:
        return [] if self.image else [Problem("image_uri", "must name an algorithm's image.")]

    def program(self, session: Session, job: str) -> tuple[dict[str, str], dict[str, object]]:
        return {}, {}
