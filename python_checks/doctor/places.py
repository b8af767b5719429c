"""The directories that a service writes to: its state, what it compiled, temporary files."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from python_checks.core.finding import Finding
from python_checks.core.result import CheckError, State
from python_checks.core.say import say
from python_checks.host import processes, users
from python_checks.service.facts import Service

CACHES = ("XDG_CACHE_HOME", "VLLM_CACHE_ROOT", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")  # compiled code
OTHERS = ("HOME", "TMPDIR")


@dataclass(frozen=True)
class Place:
    """One directory. `user`: who must write there, empty when unknown; `writable`: whether that user may."""

    path: str
    compiled: bool
    owner: str
    mode: str
    user: str = ""
    writable: bool = True
    read_only: bool = False
    forbidden: bool = False  # by the sandbox of its unit, which lets it only read there
    noexec: bool = False
    full: bool = False  # no inode is left
    foreign: tuple[str, ...] = ()  # what others own in it


def places(service: Service, home: Path | None) -> list[Place]:
    """Return the directories of a service that exist: those of its process's environment, or else where its manager has them."""
    given = environment(service.pid) if service.pid else {}
    if given:
        caches, others = (
            [Path(given[name]) for name in names if given.get(name)] for names in (CACHES, OTHERS)
        )
    else:
        caches = [Path("/var/cache", service.name), *([home / "cache"] if home else [])]
        others = [Path("/var/lib", service.name), *([home / service.name] if home else [])]
    root = processes.PROC / str(service.pid) / "root"  # as the service sees them
    root = root if service.pid and os.access(root / ".", os.X_OK) else Path("/")
    compiles = service.engine
    found = {path: compiles and path in caches for path in [*caches, *others] if path.is_absolute()}
    user = _owner(processes.PROC / str(service.pid)) if service.pid else ""
    here = [look(path, compiled, user, root) for path, compiled in found.items() if _is_there(root, path)]
    # A backend may run as a login user, in whose home others may have left something.
    return here if compiles else [replace(place, foreign=()) for place in here]


def look(path: Path, compiled: bool, user: str = "", root: Path = Path("/")) -> Place:
    """Look at one directory below `root`."""
    seen = root / path.relative_to("/")
    facts, system = seen.stat(), os.statvfs(seen)
    read_only = bool(system.f_flag & os.ST_RDONLY)
    forbidden = read_only and path.is_dir() and not os.statvfs(path).f_flag & os.ST_RDONLY
    owner, writable = processes.user_name(facts.st_uid), True
    # Opened first: what is below /proc/PID/root is closed to other users whatever its mode.
    directory = os.open(seen, os.O_PATH | os.O_DIRECTORY)
    with suppress(CheckError), users.acting_as(user or None):  # who may not act as that user cannot tell
        wanted = os.W_OK | os.X_OK
        writable = not user or os.access(".", wanted, dir_fd=directory, effective_ids=True)
    os.close(directory)
    foreign = [] if facts.st_mode & stat.S_ISVTX else _foreign(path, facts, user, root)
    return Place(
        str(path),
        compiled,
        owner,
        stat.filemode(facts.st_mode),
        user,
        writable,
        read_only,
        forbidden,
        bool(system.f_flag & os.ST_NOEXEC),
        bool(system.f_files) and system.f_favail == 0,
        tuple(foreign),
    )


def _foreign(path: Path, facts: os.stat_result, user: str, root: Path) -> list[str]:
    """Return what others own in a directory, as far as its user sees: a process may name any as its own, and root would read that."""
    found: list[str] = []
    top = os.open(root, os.O_PATH | os.O_DIRECTORY)
    us = None if os.geteuid() else user or None  # who may not act as another sees no more than itself
    with suppress(OSError, CheckError), users.acting_as(us):
        directory = os.open(path.relative_to("/"), os.O_RDONLY | os.O_DIRECTORY, dir_fd=top)
        try:
            if os.path.samestat(os.fstat(directory), facts):
                owners = {name: os.lstat(name, dir_fd=directory).st_uid for name in os.listdir(directory)}
                others = {name: uid for name, uid in owners.items() if uid != facts.st_uid}
                found = sorted(f"{name} ({processes.user_name(uid)})" for name, uid in others.items())
        finally:
            os.close(directory)
    os.close(top)
    return found


def environment(pid: int) -> dict[str, str]:
    """Return the environment that a process was started with; nothing where it may not be read."""
    try:
        raw = (processes.PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return {}
    words = [word for word in raw.decode(errors="replace").split("\0") if "=" in word]
    return dict(word.split("=", 1) for word in words)


def judge(found: Mapping[str, Sequence[Place]]) -> Iterator[Finding]:
    """Judge each directory once, whichever services write there."""
    pairs = [(name, place) for name, each in found.items() for place in each]
    for name, place in {place.path: (name, place) for name, place in reversed(pairs)}.values():
        where = say("{path}: owner {owner}, mode {mode}", path=place.path, owner=place.owner, mode=place.mode)
        symptom = say("{name} cannot write to {path}", name=name, path=place.path)
        if place.forbidden:
            if place.compiled:  # elsewhere it is meant
                cause = say("the sandbox of its unit lets it only read there")
                remedy = say(
                    "systemctl edit {name}: ReadWritePaths={path} below [Service]; then restart it",
                    name=name,
                    path=place.path,
                )
                yield Finding(State.CRITICAL, symptom, where, cause, remedy)
        elif place.read_only:
            cause = say(
                "its file system is mounted read-only: by fstab, or by the kernel after errors of the disk"
            )
            remedy = say(
                "see dmesg; then: sudo mount -o remount,rw $(findmnt -no TARGET -T {path})", path=place.path
            )
            yield Finding(
                State.CRITICAL, symptom, say("mount option ro; {where}", where=where), cause, remedy
            )
        elif place.full:
            cause = say("its file system has no inode left: too many small files")
            yield Finding(State.CRITICAL, symptom, "df -i: 100 %", cause, say("remove old caches: see df -i"))
        elif not place.writable:
            cause = say(
                "it runs as {user}, who may not write there: a vLLM that another user started may have made it",
                user=place.user,
            )
            remedy = say("sudo chown -R {user}: {path}", user=place.user, path=place.path)
            yield Finding(State.CRITICAL, symptom, where, cause, remedy)
        elif place.foreign:
            words = say("{path} holds what {name} may not be able to change", path=place.path, name=name)
            cause = say("a vLLM that another user started by hand, such as root, left it")
            evidence = say("{where}; of others: {foreign}", where=where, foreign=", ".join(place.foreign[:3]))
            yield Finding(
                State.WARNING,
                words,
                evidence,
                cause,
                say("sudo chown -R {owner}: {path}", owner=place.owner, path=place.path),
            )
        if place.compiled and place.noexec:
            symptom = say("{name} cannot run what it compiles into {path}", name=name, path=place.path)
            cause = say("its file system is mounted noexec, and compiled code is loaded from there")
            remedy = say(
                "sudo mount -o remount,exec $(findmnt -no TARGET -T {path}); correct /etc/fstab, too",
                path=place.path,
            )
            yield Finding(
                State.CRITICAL, symptom, say("mount option noexec; {where}", where=where), cause, remedy
            )


def _is_there(root: Path, path: Path) -> bool:
    with suppress(OSError):
        return (root / path.relative_to("/")).is_dir()
    return False


def _owner(path: Path) -> str:
    return processes.user_name(path.lstat().st_uid)
