"""What AMT has no field for, as one JSON value among the static hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping

from tunewright.aws.sagemaker.extension import content, plain


def join_extension(texts: Mapping[str, str]) -> tuple[dict[str, str], dict[str, object]]:
    """Hyperparameters without our extensions, and the extensions. Raises Invalid when pieces do not fit."""
    return plain(texts), content(texts)


def replicates_in(extensions: Mapping[str, object]) -> int:
    """How many training jobs each configuration gets."""
    told = extensions.get("replicates", 1)
    return told if isinstance(told, int) and told > 0 else 1
