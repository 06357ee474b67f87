"""The type of AMT's structures as botocore takes and gives them."""

from typing import Any, TypeAlias

Shape: TypeAlias = dict[str, Any]
"""An AMT structure: member names to values, as in botocore's service model."""
