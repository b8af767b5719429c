"""A port is free for a server, or held by our own; else who holds it."""

import argparse
from collections.abc import Iterable, Iterator
from contextlib import suppress

from python_checks.core import options as opt
from python_checks.core.result import CheckError, Result, conclude
from python_checks.core.say import say
from python_checks.host import ports, processes
from python_checks.host.ports import Holders
from python_checks.service import managers, registry

NEEDS: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    parser.add_argument(
        "--host", default="127.0.0.1", help="address that the server will bind to (%(default)s)"
    )
    parser.add_argument("--port", type=opt.port, required=True, help="TCP port that the server will bind to")
    parser.add_argument("--pid", type=opt.pid, help="main process of our own server: it may hold the port")
    parser.add_argument(
        "--neighbour",
        action="append",
        default=[],
        metavar="NAME",
        help="a service of this host that may hold it now, for it will move; can be given more than once",
    )


def run(options: argparse.Namespace) -> Result:
    """Try to bind; if that fails, look for the holder."""
    if ports.free(options.host, options.port):
        return conclude("port", [], say("{host}:{port} is free", host=options.host, port=options.port))
    neighbours = dict(running(options.neighbour))
    return judge(
        options.host, options.port, options.pid, ports.holders(options.host, options.port), neighbours
    )


def running(names: Iterable[str]) -> Iterator[tuple[int, str]]:
    """Yield main process and name of the services that are deployed here and run."""
    for name in names:
        with suppress(CheckError):  # none of this name is deployed
            row = registry.one(name)
            if pid := managers.reader(row.manager).ask(row).pid:
                yield pid, name


def judge(
    host: str, port: int, own: int | None, held: Holders, neighbours: dict[int, str] | None = None
) -> Result:
    """Accept holders that belong to the process `own`, or to `neighbours` (process -> name); name all others."""
    place = f"{host}:{port}"
    evidence = {"holders": [processes.describe(pid) for pid in held.pids]}
    for main, name in (neighbours or {}).items():
        if any(processes.belongs(pid, main) for pid in held.pids):
            return conclude(
                "port",
                [],
                say("{place} is held by {name}, which is to move", place=place, name=name),
                evidence,
            )
    fault = ports.stranger(place, held, lambda pid: own is not None and processes.belongs(pid, own))
    return conclude(
        "port",
        [fault] if fault else [],
        say("{place} is held by our own server (pid {own})", place=place, own=own),
        evidence,
    )
