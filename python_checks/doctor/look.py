"""What the doctor looks at beside what the status shows: every check that can be run, the compiler, engines of others, addresses."""

import argparse
import os
import shutil
from collections.abc import Mapping, Sequence
from copy import copy
from pathlib import Path
from types import ModuleType
from typing import NoReturn

from python_checks.checks import all as all_checks
from python_checks.checks import gpu, port
from python_checks.core import command
from python_checks.core.options import Parser
from python_checks.core.result import CheckError, Fault, Result
from python_checks.core.say import say
from python_checks.core.timed import timed
from python_checks.host import processes, sockets
from python_checks.service import engines
from python_checks.service.facts import Service

HEADERS = (
    "import os, sysconfig; print(os.path.exists(os.path.join(sysconfig.get_path('include'), 'Python.h')))"
)
GPU_OPTIONS = (
    "tensor-parallel-size",
    "gpu-memory-utilization",
    "max-model-len",
    "max-num-batched-tokens",
    "max-num-seqs",
)


class Options(Parser):
    """A parser for options that a service's command holds: what it refuses, the service will refuse as well."""

    def error(self, message: str) -> NoReturn:
        """Report it as a fault."""
        raise CheckError(Fault(message, say("correct this option of the service, and deploy again")))


def ask(name: str, module: ModuleType, *arguments: str) -> Result:
    """Run one check with options as on the command line."""

    def check(_: argparse.Namespace) -> Result:
        parser = Options(prog=name)
        module.add_arguments(parser)
        result: Result = module.run(parser.parse_args(arguments))
        return result

    return timed(name, check, argparse.Namespace())


def checks(
    options: argparse.Namespace, services: Mapping[str, Service], refused: Mapping[str, str]
) -> list[Result]:
    """Run what can be run: what needs a server is left out where that does not answer."""
    own = copy(options)
    vllm, backend = services.get("vllm"), services.get("backend")
    if vllm and refused["vllm"]:
        own.url = own.backend_url = None
    if backend and refused["backend"]:
        own.backend_url = None
    own.directory = own.directory or (Path(vllm.model) if vllm and vllm.model else None)
    results = all_checks.run(own, timed) if own.url or own.backend_url or own.directory else []
    for name, service in services.items():
        if service.command:
            pid = ("--pid", str(service.pid)) if service.pid else ()
            place = ("--host", service.host, "--port", str(service.port), *pid)
            results.append(ask(say("port of {name}", name=name), port, *place))
    if vllm and wants_gpu(vllm) and "gpu" not in [result.check for result in results]:
        results.append(ask("gpu", gpu, *gpu_arguments(vllm)))
    return results


def wants_gpu(vllm: Service) -> bool:
    """Tell whether a GPU is expected: there is a driver, or the environment is the one for GPUs."""
    return bool(shutil.which("nvidia-smi")) or "vllm-cuda" in "".join(vllm.command[:1])


def gpu_arguments(vllm: Service) -> Sequence[str]:
    """Return the options of vLLM's command that the gpu check knows too."""
    arguments = ["--model-directory", vllm.model] if vllm.model else []
    for name in GPU_OPTIONS:
        if value := vllm.option(f"--{name}"):
            arguments += [f"--{name}", value]
    if "--disable-custom-all-reduce" in vllm.command:
        arguments.append("--disable-custom-all-reduce")
    return [*arguments, "--pid", str(vllm.pid)] if vllm.pid else arguments


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
