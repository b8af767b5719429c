"""A port is free for a server, or held by our own; else who holds it."""

import argparse

from python_checks.core import options as opt
from python_checks.core.result import Result, conclude
from python_checks.core.say import say
from python_checks.host import ports, processes
from python_checks.host.ports import Holders

NEEDS: tuple[str, ...] = ()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    parser.add_argument(
        "--host", default="127.0.0.1", help="address that the server will bind to (%(default)s)"
    )
    parser.add_argument("--port", type=opt.port, required=True, help="TCP port that the server will bind to")
    parser.add_argument("--pid", type=opt.pid, help="main process of our own server: it may hold the port")


def run(options: argparse.Namespace) -> Result:
    """Try to bind; if that fails, look for the holder."""
    if ports.free(options.host, options.port):
        return conclude("port", [], say("{host}:{port} is free", host=options.host, port=options.port))
    return judge(options.host, options.port, options.pid, ports.holders(options.host, options.port))


def judge(host: str, port: int, own: int | None, held: Holders) -> Result:
    """Accept holders that belong to the process `own`; name all others."""
    place = f"{host}:{port}"
    evidence = {"holders": [processes.describe(pid) for pid in held.pids]}
    fault = ports.stranger(place, held, lambda pid: own is not None and processes.belongs(pid, own))
    return conclude(
        "port",
        [fault] if fault else [],
        say("{place} is held by our own server (pid {own})", place=place, own=own),
        evidence,
    )
