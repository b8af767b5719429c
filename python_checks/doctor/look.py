"""What the doctor looks at beside what the status shows: the compiler, engines of others, addresses."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from python_checks.core import command
from python_checks.core.result import Fault
from python_checks.core.say import say
from python_checks.host import processes, sockets
from python_checks.service import engines
from python_checks.service.facts import Service

HEADERS = (
    "import os, sysconfig; print(os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h')))"
)


def missing_compiler(vllm: Service) -> list[str]:
    """Return what of a C++ compiler and Python's headers is not there; vLLM compiles at its first request."""
    lacks = [] if shutil.which("g++") else ["g++"]
    # The engine's own Python, or the one beside its program `vllm`.
    interpreter = Path("".join(vllm.command[:1]))
    if not interpreter.name.startswith("python"):
        interpreter = interpreter.with_name("python")
    if interpreter.is_absolute() and interpreter.exists():
        try:
            found = command.run((str(interpreter), "-I", "-c", HEADERS), 20).text.strip()
        except (OSError, TimeoutError):
            found = ""
        lacks += [say("the headers of its Python (python3-dev)")] if found == "False" else []
    return lacks


def program(service: Service) -> str:
    """Return what is wrong with the file that a service is started by, an empty string when nothing is."""
    path = Path("".join(service.command[:1]))
    try:
        if not path.is_absolute() or (path.is_file() and os.access(path, os.X_OK)):
            return ""
        if path.is_symlink() and not path.exists():
            return say(
                "its program {path} leads to {readlink}, which is not there",
                path=path,
                readlink=path.readlink(),
            )
        return (
            say("its program {path} cannot be run", path=path)
            if path.exists()
            else say("its program {path} is not there", path=path)
        )
    except OSError:  # a directory that is closed to us says nothing
        return ""


def strangers(services: Mapping[str, Service]) -> list[Fault]:
    """Fault vLLM's processes that belong to none of our services; what a killed one leaves looks like that."""
    roots = [service.pid for service in services.values() if service.pid]
    return engines.judge(engines.find(), lambda pid: any(processes.belongs(pid, root) for root in roots), "")


def bound(service: Service) -> list[str]:
    """Return the addresses on which the service listens at the port of its command."""
    entries = [entry for entry in sockets.table() if entry.listens and entry.port == service.port]
    held, _ = sockets.owners({entry.inode for entry in entries})
    ours = {inode for pid, inodes in held.items() if processes.belongs(pid, service.pid) for inode in inodes}
    return sorted(entry.address.removeprefix("::ffff:") for entry in entries if entry.inode in ours)
