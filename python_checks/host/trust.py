"""Who besides root decides what lies at a path: owners, and whoever may write to it or to a directory or link on the way there."""

import grp
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Other(NamedTuple):
    """A place that is not root's alone.

    Attributes:
        path: The place.
        uid: Its owner; 0 where root owns it, and others may write to it.
        who: That owner, or who may write to it: `vrsoft`, `group 4711`, `everyone`.
    """

    path: Path
    uid: int
    who: str

    @property
    def why(self) -> str:
        """In words: `belongs to vrsoft`."""
        return f"{'belongs to' if self.uid else 'may be written by'} {self.who}"


def way(path: Path) -> Iterator[Path]:
    """Yield whatever decides what `path` is: it, the links it goes through, and the directories of each."""
    while True:
        for place in (path, Path(os.path.realpath(path.parent))):
            yield from (*reversed(place.parents), place)
        if not (path.is_symlink() and path.exists()):  # a circle of links does not exist
            return
        path = path.parent / path.readlink()


def others(path: Path) -> list[Other]:
    """Return the places on the way to `path`, and `path` itself, that others than root may change; what is missing is nobody's."""
    path = path.absolute()
    final = Path(os.path.realpath(path))
    found = (judge(place, passed=place != final) for place in dict.fromkeys(way(path)))
    return [other for other in found if other]


def judge(place: Path, passed: bool = False) -> Other | None:
    """Return who besides root may change one place; `passed`: a way leads through it, so that a sticky bit keeps what is root's."""
    try:
        facts = place.lstat()
    except OSError:
        return None
    if facts.st_uid:
        return Other(place, facts.st_uid, _name(facts.st_uid))
    if stat.S_ISLNK(facts.st_mode) or (passed and facts.st_mode & stat.S_ISVTX):
        return None
    if facts.st_mode & stat.S_IWOTH:
        return Other(place, 0, "everyone")
    if facts.st_mode & stat.S_IWGRP and (facts.st_gid or _has_acl(place)):
        return Other(place, 0, _group(facts.st_gid))
    return None


def _name(uid: int) -> str:
    with suppress(KeyError):
        return pwd.getpwuid(uid).pw_name
    return f"user {uid}"


def _group(gid: int) -> str:
    with suppress(KeyError):
        return f"group {grp.getgrgid(gid).gr_name}"
    return f"group {gid}"


def _has_acl(place: Path) -> bool:
    """Tell whether the group's bits are the mask of a list of further users."""
    with suppress(OSError):
        return bool(os.getxattr(place, "system.posix_acl_access"))
    return False
