"""A root of a process's own: the host's programs, a runtime's files, and the folders that the
contract names, in a mount namespace that ends with the process.

Works for root, and for others where the kernel gives them user namespaces. It is there so that
paths are as in a container; it keeps nobody from anything that the user 1000 may do on this
machine.
"""

from __future__ import annotations

import ctypes
import errno
import os
import resource
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from the0.agent.linux import LIBC, checked, gain_nothing

USER = 1000
HOST_FOLDERS: Sequence[str] = (
    *("bin", "sbin", "lib", "lib32", "lib64", "libx32", "usr", "etc", "opt", "nix", "dev", "sys"),
)
"""What of the host's root is seen; its homes, data and run-time files are not."""

_NEWNS, _NEWIPC, _NEWUSER, NEWPID = 0x00020000, 0x08000000, 0x10000000, 0x20000000
_RDONLY, _NOSUID, _NODEV, _NOEXEC = 1, 2, 4, 8
_BIND, _MOVE, _REC, _PRIVATE = 4096, 8192, 16384, 1 << 18
_MOUNT_SETATTR = 442  # the same on every architecture
_AT_FDCWD, _AT_RECURSIVE, _ATTR_RDONLY = -100, 0x8000, 1
_PR_SET_PDEATHSIG = 1
_SIGKILL = 9


@dataclass(frozen=True)
class Surroundings:
    """What one process sees. `mount_point` is an empty folder, `tree` a runtime's files, `folders`
    maps paths in it to folders of this machine that it may write to, `read_only` to those that it
    may not; `/tmp` and `/query` are new, `tmp_bytes` each."""

    mount_point: Path
    tree: Path
    folders: Mapping[str, str]
    read_only: Mapping[str, str]
    tmp_bytes: int
    open_files: int


class _MountAttr(ctypes.Structure):
    _fields_ = tuple((name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "userns"))


def begin_namespaces() -> None:
    """The next fork is process 1 of a PID namespace; without root, in a user namespace in which
    this user is the user 1000. Raises OSError where the kernel does not allow it."""
    if os.geteuid() == 0:
        checked(LIBC.unshare(NEWPID))
        return
    user, group = os.geteuid(), os.getegid()
    checked(LIBC.unshare(NEWPID | _NEWUSER))
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{USER} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{USER} {group} 1")


def enter(around: Surroundings) -> None:
    """Make `around` the surroundings of this process, process 1 of its PID namespace, and become
    the user 1000 without any rights, who dies with the parent. Raises OSError."""
    checked(LIBC.unshare(_NEWNS | _NEWIPC))
    _mount("none", "/", None, _REC | _PRIVATE)
    _build(around)
    os.chdir(around.mount_point)
    _mount(".", "/", None, _MOVE)
    os.chroot(".")
    os.chdir("/bot")
    files = min(around.open_files, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    _become_nobody()


def _become_nobody() -> None:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setresgid(USER, USER, USER)
        os.setresuid(USER, USER, USER)
    # After the change of user, which undoes it.
    checked(LIBC.prctl(_PR_SET_PDEATHSIG, _SIGKILL, 0, 0, 0))
    gain_nothing()


def _build(around: Surroundings) -> None:
    root = around.mount_point
    _mount("tmpfs", str(root), "tmpfs", _NOSUID | _NODEV, "size=4m,mode=0755")
    for name in {*HOST_FOLDERS, *_names(around.tree)}:
        _lay(around.tree / name, Path("/", name) if name in HOST_FOLDERS else None, root / name)
    _lay_resolver(root)
    for name in ("proc", "tmp", "query", "bot"):
        (root / name).mkdir(exist_ok=True)
    _make_read_only(root)
    _mount("proc", str(root / "proc"), "proc", _NOSUID | _NODEV | _NOEXEC)
    limit = f"size={around.tmp_bytes},mode=0700,uid={USER},gid={USER}"
    for name, flags in (("tmp", 0), ("query", _NOEXEC), ("dev/shm", _NOEXEC)):
        _mount("tmpfs", str(root / name), "tmpfs", _NOSUID | _NODEV | flags, limit)
    for path, source in around.folders.items():
        _mount(source, str(root / path.lstrip("/")), None, _BIND | _REC)
    for path, source in around.read_only.items():
        target = root / path.lstrip("/")
        _mount(source, str(target), None, _BIND | _REC)
        _make_read_only(target)


def _lay(tree: Path, host: Path | None, target: Path) -> None:
    """Show at `target` what the runtime has, over what the host has."""
    if _is_folder(tree) and host and _is_folder(host):
        target.mkdir()
        for name in {*_names(tree), *_names(host)}:
            _lay(tree / name, host / name, target / name)
        return
    source = tree if os.path.lexists(tree) else host
    if source is None or not os.path.lexists(source):
        return
    if source.is_symlink():
        target.symlink_to(source.readlink())
        return
    if source.is_dir():
        target.mkdir()
    elif source.is_file():
        target.touch()
    else:
        return
    _mount(str(source), str(target), None, _BIND | _REC)


def _lay_resolver(root: Path) -> None:
    """The file with the name servers, where it is a link out of what is seen."""
    real = Path("/etc/resolv.conf").resolve()
    target = root / str(real).lstrip("/")
    if real.is_file() and not target.exists():
        target.parent.mkdir(parents=True)
        target.touch()
        _mount(str(real), str(target), None, _BIND)


def _names(folder: Path) -> Iterator[str]:
    yield from os.listdir(folder)  # noqa: PTH208 - names, not paths


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    words = [word.encode() if word is not None else None for word in (source, target, kind, data)]
    try:
        checked(LIBC.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]))
    except OSError as error:
        raise OSError(error.errno, f"mount {source} on {target}: {error.strerror}") from error


def _make_read_only(path: Path) -> None:
    """All that is mounted at and below `path`. Kernels before 5.12 cannot; there the rights of the
    user 1000 have to do."""
    attributes = _MountAttr(_ATTR_RDONLY, 0, 0, 0)
    try:
        checked(
            LIBC.syscall(
                _MOUNT_SETATTR,
                _AT_FDCWD,
                str(path).encode(),
                _AT_RECURSIVE,
                ctypes.byref(attributes),
                ctypes.c_size_t(ctypes.sizeof(attributes)),
            )
        )
    except OSError as error:
        if error.errno != errno.ENOSYS:
            raise
