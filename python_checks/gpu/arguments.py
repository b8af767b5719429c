"""The options of a look at GPUs: those of vLLM by their own names, with the guide's values."""

import argparse
import re
from pathlib import Path

from python_checks.core import options as opt

TIMEOUT = 30.0  # seconds; without persistence mode the driver wakes each GPU first


def cuda(value: str) -> tuple[int, int]:
    """Return a CUDA version like 13.0."""
    found = re.fullmatch(r"(\d+)\.(\d+)", value)
    if not found:
        raise argparse.ArgumentTypeError(f"not a version like 13.0: {value!r}")
    return int(found[1]), int(found[2])


def count(value: str) -> int:
    """Return a whole number above 0."""
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"not a whole number above 0: {value!r}")
    return int(value)


def share(value: str) -> float:
    """Return a number above 0 and up to 1."""
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 0 < number <= 1:
        raise argparse.ArgumentTypeError(f"not above 0 and up to 1: {value!r}")
    return number


def gibibytes(value: str) -> float:
    """Return a number from 0 on."""
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e4:
        raise argparse.ArgumentTypeError(f"not a number of GiB: {value!r}")
    return number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add them all."""
    add = parser.add_argument
    add(
        "--model-directory",
        type=Path,
        metavar="DIR",
        help="the model; without it whether it fits is not judged",
    )
    add("--tensor-parallel-size", type=count, default=2, metavar="N", help="GPUs that share it (%(default)s)")
    add("--gpu-memory-utilization", type=share, default=0.90, metavar="X", help="as of vLLM (%(default)s)")
    add("--max-model-len", type=count, metavar="N", help="tokens of the longest request (the model's own)")
    add("--max-num-batched-tokens", type=count, default=4096, metavar="N", help="as of vLLM (%(default)s)")
    add("--max-num-seqs", type=count, metavar="N", help="as of vLLM (its default for the GPU)")
    add("--disable-custom-all-reduce", action="store_true", help="it is set, so peer access does not matter")
    add("--devices", metavar="LIST", help="value of CUDA_VISIBLE_DEVICES (all GPUs)")
    add(
        "--cuda",
        type=cuda,
        default=(13, 0),
        metavar="VERSION",
        help="what the locked vLLM is built for (13.0)",
    )
    opt.add_service(parser, "it will run; what other services of the host take of its GPUs is counted")
    add(
        "--pid",
        type=opt.pid,
        action="append",
        default=[],
        help="main process of one of our own servers; repeatable",
    )
    add("--reserve", type=gibibytes, metavar="GIB", help="what neither weights nor KV cache take (estimated)")
    add(
        "--timeout",
        type=opt.seconds,
        default=TIMEOUT,
        metavar="SECONDS",
        help="deadline of each call (%(default)g s)",
    )
