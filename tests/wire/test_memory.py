"""What a server takes of memory does not depend on how large an object is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import CERTIFICATE, PRIVATE
from .test_serve import Serving

pytestmark = pytest.mark.slow

MEGABYTE = 1 << 20
SIZE, MOST = 200 * MEGABYTE, 100 * MEGABYTE
TLS = ("--tls-cert", str(CERTIFICATE), "--tls-key", str(PRIVATE))


def peak(server: Serving) -> int:
    """Bytes that a server's process had in memory at most."""
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


def digest(chunks: Callable[[], bytes]) -> str:
    found = hashlib.sha256()
    while data := chunks():
        found.update(data)
    return found.hexdigest()


@pytest.mark.parametrize("options", [(), TLS], ids=["http", "tls"])
def test_large_objects_go_up_and_down_in_little_memory(options: tuple[str, ...], tmp_path: Path) -> None:
    original, back = tmp_path / "original", tmp_path / "back"
    block = os.urandom(MEGABYTE)
    with original.open("wb") as file:
        for number in range(SIZE // MEGABYTE):
            file.write(number.to_bytes(8, "big") + block[8:])
    with original.open("rb") as file:
        wanted = digest(lambda: file.read(MEGABYTE))
    server = Serving(tmp_path / "home", *options)
    try:
        s3 = server.client("s3")
        s3.upload_file(str(original), "tunewright", "in/parts")
        s3.download_file("tunewright", "in/parts", str(back))
        with back.open("rb") as file:
            assert digest(lambda: file.read(MEGABYTE)) == wanted
        with original.open("rb") as file:
            s3.put_object(Bucket="tunewright", Key="in/one", Body=file)
        body = s3.get_object(Bucket="tunewright", Key="in/one")["Body"]
        assert digest(lambda: body.read(MEGABYTE)) == wanted
        assert peak(server) < MOST
    finally:
        server.end()
