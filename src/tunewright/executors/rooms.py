"""Rooms: a private view of the file system for a training program, in which its directory lies at `/opt/ml`.

Programs written for SageMaker name `/opt/ml` literally. Two training jobs at once must not meet there, and this
machine's own `/opt/ml`, if it has one, is nobody's business. So a program is started in a mount namespace of its
own, where the job's directory is bound there. Nothing outside sees it, it needs no clearing away (the kernel drops
it with its last process), and neither process ids, groups nor locks are touched by it.

The superuser may make mount namespaces as such; others may where the kernel lets them make a user namespace first.
In that one they are who they were before: same user id, same group id.

Sources: mount_namespaces(7), user_namespaces(7), mount(2), setns(2).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence

OPT_ML = "/opt/ml"
NAMES = "/etc/hosts"
LINUX = sys.platform == "linux"

_NEWNS, _NEWUSER = 0x00020000, 0x10000000
_RDONLY, _REMOUNT, _BIND, _REC, _SLAVE = 0x1, 0x20, 0x1000, 0x4000, 0x80000
_KEPT_FLAGS = 0x2 | 0x4 | 0x8 | 0x400 | 0x800
"""What a read-only remount must not drop: nosuid, nodev, noexec, noatime, nodiratime (the same bits in statvfs)."""
_RELATIME, _ST_RELATIME = 0x200000, 0x1000

_C = ctypes.CDLL(None, use_errno=True) if LINUX else None


def _call(name: str, *arguments: object) -> None:
    """A function of the C library. Raises OSError."""
    if _C is None:
        raise OSError(errno.ENOSYS, "this system has no mount namespaces")
    if getattr(_C, name)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Leave namespaces for new ones. Raises OSError."""
    _call("unshare", flags)


def _mount(source: str, target: str, flags: int, kind: str = "none", data: str = "") -> None:
    texts = [os.fsencode(text) for text in (source, target, kind)]
    _call("mount", *texts, ctypes.c_ulong(flags), os.fsencode(data))


class Rooms:
    """Opens rooms for the programs of this process, one after the other; the process must have one thread.

    A program that is started while a room is open stays in it. Nothing happens before the first room is opened.
    """

    def __init__(self) -> None:
        self._home: int | None = None

    @contextlib.contextmanager
    def opened(
        self,
        base: str,
        *,
        read_only: Sequence[str] = (),
        files: Mapping[str, str] | None = None,
        directories: Mapping[str, str] | None = None,
    ) -> Iterator[None]:
        """A room in which `base` lies at `/opt/ml`; left again at the end of the block.

        Args:
            read_only: directories that cannot be written to in there.
            files: files by the path at which they replace another one.
            directories: directories by the path at which they are to be found too.

        Raises:
            OSError: the kernel refuses; then this process is where it was.
        """
        home = self.unlock()
        unshare(_NEWNS)
        try:
            # What is mounted outside later on shows in here too, never the other way round.
            _mount("none", "/", _REC | _SLAVE)
            for directory in read_only:
                _mount(directory, directory, _BIND | _REC)
                _make_read_only(directory)
            for path, file in (files or {}).items():
                _mount(file, path, _BIND)
            for path, directory in (directories or {}).items():
                _make_directory(path)
                _mount(directory, path, _BIND | _REC)
            if not os.path.isdir(OPT_ML):
                _make_point(OPT_ML)
            _mount(base, OPT_ML, _BIND | _REC)
            yield
        finally:
            _call("setns", home, _NEWNS)

    def unlock(self) -> int:
        """Gain the right to make rooms, once; the namespace to come back to. Raises OSError."""
        if self._home is not None:
            return self._home
        try:
            unshare(_NEWNS)
        except PermissionError:
            user, group = os.geteuid(), os.getegid()
            unshare(_NEWUSER | _NEWNS)
            for name, text in (
                ("setgroups", "deny"),
                ("uid_map", f"{user} {user} 1"),
                ("gid_map", f"{group} {group} 1"),
            ):
                with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
                    file.write(text)
        _mount("none", "/", _REC | _SLAVE)
        self._home = os.open("/proc/self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        return self._home


def _make_read_only(directory: str) -> None:
    has = os.statvfs(directory).f_flag
    flags = has & _KEPT_FLAGS | (_RELATIME if has & _ST_RELATIME else 0)
    _mount("none", directory, _REMOUNT | _BIND | _RDONLY | flags)


def _make_directory(path: str) -> None:
    """A directory to mount at: on the disk, where one may be made there, and stays; else beside what is there.

    It is never removed: that would end what is mounted at it in other rooms. Raises OSError.
    """
    try:
        os.makedirs(path, exist_ok=True)
    except OSError:
        if os.path.dirname(path) == "/" or os.path.lexists(path):
            raise
        _make_point(path)


def _make_point(path: str) -> None:
    """A directory to mount at, without making one on the disk: its parent is rebuilt in memory, with all it holds."""
    parent = os.path.dirname(path)
    old = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        entries = list(os.scandir(old))
        _mount("tmpfs", parent, 0, "tmpfs", "mode=0755,size=1m")
        os.mkdir(path)
        for entry in entries:
            goal = f"{parent}/{entry.name}"
            if entry.is_symlink():
                os.symlink(os.readlink(entry.name, dir_fd=old), goal)
                continue
            if entry.is_dir():
                os.mkdir(goal)
            else:
                os.close(os.open(goal, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))
            _mount(f"/proc/self/fd/{old}/{entry.name}", goal, _BIND | _REC)
        # What is written beside the old entries would be lost; this way it is refused.
        _make_read_only(parent)
    finally:
        os.close(old)


def obstacle() -> str:
    """Why no rooms can be made here, or "": found out by making one in a process of its own."""
    if not LINUX:
        return "this system has no mount namespaces"
    reading, writing = os.pipe()
    with tempfile.TemporaryDirectory(prefix="tunewright-") as folder:
        os.mkdir(f"{folder}/model")
        pid = os.fork()
        if pid == 0:
            _try(folder, writing)
        os.close(writing)
        with open(reading, encoding="utf-8", errors="replace") as answer:
            text = answer.read()
        os.waitpid(pid, 0)
    return text.removeprefix("ok") if text.startswith("ok") else text or "the trial of it ended without a word"


def _try(folder: str, writing: int) -> None:
    """In a process of its own: open a room, look, come back, and tell."""
    try:
        root = os.stat("/")
        outside = _look(OPT_ML)
        rooms = Rooms()
        for _ in range(2):
            with rooms.opened(folder, read_only=[f"{folder}/model"]):
                if _look(OPT_ML) != _look(folder) or os.access(f"{OPT_ML}/model", os.W_OK):
                    raise OSError("the directory does not show at /opt/ml")
            if _look(OPT_ML) != outside or not os.path.samestat(root, os.stat("/")):
                raise OSError("a room cannot be left again")
        text = "ok"
    except OSError as error:
        text = f"the kernel refuses a mount namespace ({error.strerror or error})"
    except BaseException as error:  # it must not return into its parent's code
        text = f"{type(error).__name__}: {error}"
    os.write(writing, text.encode())
    os._exit(0)


def _look(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None


def hides(*paths: str, point: str = OPT_ML) -> bool:
    """Whether a room would hide one of these paths, for it lies where something is going to be mounted."""
    point = os.path.realpath(point).rstrip("/")
    return any(f"{os.path.realpath(path)}/".startswith(f"{point}/") for path in paths)
