"""Nothing is in the way of a start: no other vLLM, port and GPU memory free, the model complete."""

import argparse
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from python_checks.core import notify
from python_checks.core import options as opt
from python_checks.core.result import CheckError, Fault, Result, State, conclude
from python_checks.core.say import joined, say
from python_checks.gpu import arguments, hardware, holders, inventory
from python_checks.host import cgroups, ports, processes, users
from python_checks.model import files as model_files
from python_checks.service import engines, registry

NEEDS: tuple[str, ...] = ()

PAUSE = 0.5  # seconds between two looks at what a process that ends may still hold

Own = Callable[[int], bool]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check: those of vLLM by their own names."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address that the server will bind to (%(default)s)")
    add("--port", type=opt.port, required=True, help="TCP port that the server will bind to")
    add("--model-directory", type=Path, metavar="DIR", help="the model; without it none is looked at")
    add("--user", metavar="NAME", help="user who must be able to read the model (whoever runs this)")
    add("--devices", metavar="LIST", help="value of CUDA_VISIBLE_DEVICES (all GPUs); empty: none is used")
    add("--tensor-parallel-size", type=arguments.count, metavar="N", help="how many of these are used (all)")
    add(
        "--gpu-memory-utilization",
        type=arguments.share,
        default=0.90,
        metavar="X",
        help="as of vLLM (%(default)s)",
    )
    add("--unit", metavar="NAME", help="our own unit, e.g. vllm.service: before a restart it may still run")
    add("--pid", type=opt.pid, help="main process of our own server: likewise")
    add(
        "--patience",
        type=opt.seconds,
        default=10.0,
        metavar="SECONDS",
        help="for what a process that ends still holds (%(default)g s)",
    )


def run(options: argparse.Namespace) -> Result:
    """Look until nothing is in the way or patience ends; what cannot be told for sure stops no start."""
    files, notes = look_at_model(options)
    lasting = [fault for fault in notes if fault.state is State.CRITICAL]
    start = time.monotonic()
    while True:
        held = look_around(options)
        waited = time.monotonic() - start
        keeps = [fault for fault in held if fault.state is State.CRITICAL]
        if lasting or not keeps or waited >= options.patience:
            break
        notify.status(say("waiting to start: {reason}", reason=keeps[0].reason))
        time.sleep(min(PAUSE, options.patience - waited))
    notes += held
    faults = [fault for fault in notes if fault.state is State.CRITICAL]
    words = [
        say("nothing is in the way of a start"),
        *filter(None, [files]),
        *(fault.reason for fault in notes),
    ]
    result = conclude("guard", faults, joined("; ", words), {"waited": round(waited, 1)})
    if faults:
        notify.status(say("start refused: {reason}", reason=result.reason))
    return result


def look_at_model(options: argparse.Namespace) -> tuple[str, list[Fault]]:
    """Return what is to be said of the model, and its faults, which no waiting mends."""
    if options.model_directory is None:
        return "", []
    place = f"{options.model_directory}: "
    try:
        with users.acting_as(options.user):
            result = model_files.look(options.model_directory, whole=False)
    except CheckError as error:
        return "", [error.fault]
    if result.state is State.OK:
        return joined("", (place, result.reason)), []
    return "", [Fault(joined("", (place, result.reason)), result.remedy, result.state)]


def look_around(options: argparse.Namespace) -> list[Fault]:
    """Return the faults that may pass: other engines, the port, the memory of GPUs."""
    starting = options.unit or ""
    if cgroups.unit(os.getpid()) != starting:  # it may run on; in the unit itself all but us must have ended
        starting = ""

    def own(pid: int) -> bool:
        if options.unit and not starting and cgroups.unit(pid) == options.unit:
            return True
        return options.pid is not None and processes.belongs(pid, options.pid)

    # Another vLLM of the registry is none that is in the way: its unit is as the kernel says, and memory and ports are looked at below.
    units = {
        f"{row.unit}.service" for row in registry.siblings((options.unit or "").removesuffix(".service"))
    }
    strangers = [pid for pid in engines.find() if cgroups.unit(pid) not in units]
    faults = engines.judge(strangers, own, starting)
    for look in look_at_port, look_at_gpus:
        try:
            faults += look(options, own)
        except CheckError as error:
            faults.append(error.fault)
    return faults


def look_at_port(options: argparse.Namespace, own: Own) -> list[Fault]:
    """Fault a port that another program holds."""
    if ports.free(options.host, options.port):
        return []
    held = ports.holders(options.host, options.port)
    fault = ports.stranger(f"{options.host}:{options.port}", held, own)
    return [fault] if fault else []


def look_at_gpus(options: argparse.Namespace, own: Own) -> list[Fault]:
    """Fault memory that others hold on the GPUs that will be used; a host without NVIDIA's driver has none."""
    if options.devices == "" or not shutil.which("nvidia-smi"):
        return []
    found, complaints = inventory.look(arguments.TIMEOUT)
    gpus, faults = hardware.choose(found.gpus, options.devices, options.tensor_parallel_size)
    return complaints + faults + holders.judge(gpus, own, options.gpu_memory_utilization)
