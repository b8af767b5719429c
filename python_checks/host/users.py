"""Look at files with the eyes of another user: root may read what a service may not, and the reverse on NFS."""

import contextlib
import os
import pwd
from collections.abc import Iterator

from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import say


@contextlib.contextmanager
def acting_as(name: str | None) -> Iterator[None]:
    """Have the permissions of the user `name` meanwhile; only root may. None changes nothing.

    Raises:
        CheckError: there is no such user, or we may not.
    """
    before, groups = (os.geteuid(), os.getegid()), os.getgroups()
    try:
        entry = pwd.getpwnam(name) if name else None
    except KeyError as error:
        raise CheckError(
            Fault(say("there is no user {name}", name=name), say("create it, or correct the name"))
        ) from error
    if entry is None or entry.pw_uid == before[0]:
        yield
        return
    try:
        os.setgroups(os.getgrouplist(entry.pw_name, entry.pw_gid))
        os.setegid(entry.pw_gid)
        os.seteuid(entry.pw_uid)
    except PermissionError as error:
        raise CheckError(
            Fault(say("only root can act as user {name}", name=name), say("run it as root"), State.UNKNOWN)
        ) from error
    try:
        yield
    finally:
        os.seteuid(before[0])
        os.setegid(before[1])
        os.setgroups(groups)
