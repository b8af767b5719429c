"""Xid errors of GPUs: the NVIDIA kernel module writes `NVRM: Xid (PCI:0000:1b:00): 79, ...` into the kernel's log."""

import re
from collections.abc import Collection

from python_checks import command

# What a program does to itself, by NVIDIA's "Xid Errors" (docs.nvidia.com/deploy/xid-errors): a fault of the code that
# ran (13, 31, 32, 68, 69), a channel that was ended or cleaned up (8, 43, 45), and two notes about memory that the
# driver also keeps elsewhere (63 a row was remapped, 94 an error was kept inside one program).
HARMLESS = frozenset((8, 13, 31, 32, 43, 45, 63, 68, 69, 94))
SOURCES = (("journalctl", "-k", "-b", "-q", "--no-pager", "-o", "cat"), ("dmesg",))


def kernel_log(timeout: float) -> str | None:
    """Return the kernel's log since boot; None when this user may not read it, or nothing here can."""
    for source in SOURCES:
        try:
            output = command.run(source, timeout)
        except (OSError, TimeoutError):
            continue
        if output.code == 0 and output.text.strip():
            return output.text
    return None


def hardware(log: str, buses: Collection[str]) -> dict[str, list[int]]:
    """Return bus -> the Xids of these GPUs that mean hardware or driver, each once."""
    found: dict[str, list[int]] = {}
    for bus, code in re.findall(r"NVRM: Xid \(PCI:([0-9a-fA-F]{4}:\w\w:\w\w)[^)]*\): (\d+)", log):
        numbers = found.setdefault(bus.lower(), []) if bus.lower() in buses else []
        if int(code) not in HARMLESS and int(code) not in numbers:
            numbers.append(int(code))
    return {bus: sorted(numbers) for bus, numbers in found.items() if numbers}
