"""Importing the package costs nothing that was not asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {
    "numpy",
    "scipy",
    "pandas",
    "botocore",
    "sqlalchemy",
    "rich",
    "typer",
    "yaml",
    "plotly",
    "cloudpickle",
    "boto3",
}


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after some code."""
    script = f"{code}\nimport sys\nprint(*sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "code",
    [
        "import tunewright",
        "from tunewright import ContinuousParameter, IntegerParameter, CategoricalParameter, report",
        "import tunewright.tuner, tunewright.estimator",
        "import tunewright; dir(tunewright); tunewright.__version__",
    ],
)
def test_heavy_packages_stay_out(code: str) -> None:
    assert not loaded_after(code) & HEAVY


def test_importing_the_package_alone_brings_almost_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import tunewright"], capture_output=True, text=True, check=True
    )
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert {name for name in imported if name.startswith("tunewright")} == {"tunewright"}


def test_every_public_name_is_there() -> None:
    import tunewright

    for name in tunewright.__all__:
        assert getattr(tunewright, name) is not None
    assert set(tunewright.__all__) <= set(dir(tunewright))
    with pytest.raises(AttributeError, match="nothing_like_it"):
        tunewright.nothing_like_it  # noqa: B018


def test_the_names_of_sagemakers_sdk_are_there() -> None:
    from tunewright import tuner

    for name in tuner.__all__:
        assert getattr(tuner, name) is not None
