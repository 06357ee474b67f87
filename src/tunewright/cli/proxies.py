"""The way past proxies to a server."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

LOCAL = ("127.0.0.1", "localhost")


def without_proxy(endpoint: str = "") -> str:
    """NO_PROXY with this machine's own names, and the host of an endpoint, added."""
    known = [part for part in os.environ.get("NO_PROXY", os.environ.get("no_proxy", "")).split(",") if part]
    host = urlsplit(endpoint).hostname
    names = dict.fromkeys([*LOCAL, *([host] if host else [])])
    return ",".join([*known, *(name for name in names if name not in known)])
