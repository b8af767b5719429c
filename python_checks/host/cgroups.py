"""Which unit of systemd a process is in, read from /proc/PID/cgroup (cgroups(7))."""

from python_checks.host import processes

# Where systemd keeps its groups: cgroup v2 (""), or with v1, also beside v2, a hierarchy of its own.
OURS = ("", "name=systemd")


def read(pid: int) -> dict[str, str]:
    """Return hierarchy -> group of `pid` for those of systemd; nothing when there is no such process."""
    try:
        lines = (processes.PROC / str(pid) / "cgroup").read_text(errors="replace").splitlines()
    except OSError:
        return {}
    rows = [line.split(":", 2) for line in lines]
    return {row[1]: row[2] for row in rows if len(row) == 3 and row[1] in OURS}


def unit(pid: int) -> str:
    """Return the unit of this system's own manager that `pid` is in, empty when it is in none."""
    return choose(read(pid), read(1))


def choose(groups: dict[str, str], manager: dict[str, str]) -> str:
    """Return the unit of a process.

    Args:
        groups: Hierarchy -> group of the process.
        manager: The same of process 1; in a container that sees its host's groups, ours begin there.
    """
    found = [_name(group, manager.get(hierarchy, "/")) for hierarchy, group in groups.items()]
    return next(filter(None, found), "")


def _name(group: str, manager: str) -> str:
    """Return the first part that is not a slice: units of users and of containers lie below a unit of this host."""
    root = manager.removesuffix("/init.scope").rstrip("/")
    if group != root and not group.startswith(f"{root}/"):
        root = ""
    parts = [part for part in group[len(root) :].split("/") if part and part != ".."]
    return next((part for part in parts if not part.endswith(".slice")), "")
