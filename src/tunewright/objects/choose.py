"""Which object directory a setting names: a directory of this machine, or the endpoint of an S3."""

from __future__ import annotations

import re
from pathlib import Path

from tunewright.core.ports import Objects
from tunewright.objects.local import LocalObjects

_ENDPOINT = re.compile(r"https?://[^/\s]+(?:/\S*)?")


def is_endpoint(setting: str) -> bool:
    """Whether the setting names an S3 rather than a directory."""
    return _ENDPOINT.fullmatch(setting) is not None


def open_objects(setting: str, region: str = "us-east-1") -> Objects:
    """The object directory that a setting names; made when first written to, or reached when first asked."""
    if not is_endpoint(setting):
        return LocalObjects(Path(setting))
    from tunewright.objects.remote import RemoteObjects

    return RemoteObjects(setting, region)
