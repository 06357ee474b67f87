"""What a server tells the training programs that it runs: where it is, and with which key they come in."""

from __future__ import annotations

import os
import secrets
import ssl
import stat
from collections.abc import Mapping
from pathlib import Path

from tunewright.aws.http.keys import Key
from tunewright.cli.proxies import without_proxy
from tunewright.executors.contract import access
from tunewright.objects.choose import is_endpoint
from tunewright.settings import Settings

FILE = "programs.env"
ACCESS = "TRAININGPROGRAM"
SECRET_CHARACTERS = 48


def let_in(settings: Settings, endpoint: str, keys: Mapping[str, Key], certificate: Path | None) -> dict[str, Key]:
    """Write the file for training programs, name it to what this process starts, and return the keys that may come in.

    Without keys any will do. With keys the programs have one of their own; it outlives the server as they do.
    """
    path = settings.home / FILE
    own = _own_key(path) if keys else Key("tunewright", "tunewright")
    variables = {
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_DEFAULT_REGION": settings.region,
        "AWS_ACCESS_KEY_ID": own.access,
        "AWS_SECRET_ACCESS_KEY": own.secret,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Of both spellings the small one wins, where it is set.
        "NO_PROXY": without_proxy(endpoint),
        "no_proxy": without_proxy(endpoint),
    }
    if is_endpoint(settings.objects):
        variables["AWS_ENDPOINT_URL_S3"] = settings.objects
    if certificate is not None and _signs_itself(certificate):
        variables[access.CA] = str(certificate.absolute())
    access.write(path, variables)
    os.environ[access.VARIABLE] = str(path)
    return {**keys, own.access: own} if keys else {}


def _own_key(path: Path) -> Key:
    """The key in the file of an earlier server, or a new one where others could have written or read that."""
    earlier = access.read({access.VARIABLE: str(path)}) if _is_ours(path) else {}
    secret = earlier.get("AWS_SECRET_ACCESS_KEY", "")
    if earlier.get("AWS_ACCESS_KEY_ID") != ACCESS or len(secret) < SECRET_CHARACTERS:
        secret = secrets.token_urlsafe(SECRET_CHARACTERS)
    return Key(ACCESS, secret)


def _is_ours(path: Path) -> bool:
    """Whether a file is there, this user's, and closed to all others."""
    try:
        about = path.stat(follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISREG(about.st_mode) and about.st_uid == os.geteuid() and not stat.S_IMODE(about.st_mode) & 0o077


def _signs_itself(certificate: Path) -> bool:
    """Whether a certificate is its own authority, so that its file says whom to trust."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(certificate)
    except OSError:  # which is told of when the server is made
        return False
    return any(each["subject"] == each["issuer"] for each in context.get_ca_certs())
