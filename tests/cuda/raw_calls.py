"""Print which system calls libraries make by number, through libc's syscall(): a name and the library a line. Needs NumPy.

    raw_calls.py LIBRARY…

Each call of syscall() is looked for in the machine code (x86-64), and before it the number that is loaded into the first argument.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
NAMES = {int(number): name for name, number in re.findall(r"#define __NR_(\w+)\s+(\d+)", HEADER.read_text())}
BACK = 80  # bytes before a call in which its first argument is loaded
# mov $number,%edi; mov $number,%rdi; push $number, pop %rdi
LOADS = (rb"(?<![\x40-\x4f])\xbf(.{4})", rb"\x48\xc7\xc7(.{4})", rb"\x6a(.)\x5f")


def objdump(library: str, *options: str) -> str:
    return subprocess.run(["objdump", *options, library], capture_output=True, text=True, check=False).stdout


def calls(library: str) -> Iterator[str]:
    """Yield the name of each call, `unknown` where the number is not loaded right before it."""
    lines = [line.split() for line in objdump(library, "-h", "-w").splitlines() if "CODE" in line]
    code = [
        (name, int(size, 16), int(address, 16), int(offset, 16))
        for _, name, size, address, _, offset, *_ in lines
    ]
    slots = [
        int(place, 16)
        for place, to in re.findall(r"(?m)^(\w+) R_X86_64_\w+ +(\w+)", objdump(library, "-R"))
        if to == "syscall"
    ]
    stubs = []
    plt = [name for name, *_ in code if name.startswith(".plt")]
    if plt:
        text = objdump(library, "-d", "--no-show-raw-insn", *(f"--section={name}" for name in plt))
        for address, slot in re.findall(r"(?m)^ *(\w+):\s+(?:bnd )?jmp .*# (\w+)", text):
            if int(slot, 16) in slots:
                stubs += [int(address, 16), int(address, 16) - 4]  # with an endbr64 before it
    data = np.memmap(library, dtype=np.uint8, mode="r")
    for name, size, address, offset in code:
        if name not in plt:
            piece = data[offset : offset + size]
            for opcodes, targets in ((((0xE8,), (0xE9,)), stubs), (((0xFF, 0x15), (0xFF, 0x25)), slots)):
                for opcode in opcodes:
                    for place in jumps(piece, opcode, address, targets):
                        yield number(bytes(piece[max(0, place - BACK) : place]))


def jumps(code: np.ndarray, opcode: tuple[int, ...], address: int, targets: list[int]) -> Iterator[int]:
    """Yield where code that is loaded at `address` jumps to one of the targets, relative to itself."""
    last = len(code) - len(opcode) - 4
    if not targets or last < 0:
        return
    places = np.flatnonzero(code[: last + 1] == opcode[0])
    for index, byte in enumerate(opcode[1:], 1):
        places = places[code[places + index] == byte]
    distance = np.zeros(len(places), dtype=np.uint32)
    for index in range(4):
        distance |= code[places + len(opcode) + index].astype(np.uint32) << np.uint32(8 * index)
    reached = address + places + len(opcode) + 4 + distance.view(np.int32).astype(np.int64)
    yield from places[np.isin(reached, targets)]


def number(before: bytes) -> str:
    """Return the name of the call whose number is loaded last."""
    found = [
        (match.end(), int.from_bytes(match[1], "little"))
        for pattern in LOADS
        for match in re.finditer(pattern, before, re.DOTALL)
    ]
    known = [(place, value) for place, value in found if value in NAMES]
    return NAMES[max(known)[1]] if known else "unknown"


if __name__ == "__main__":
    for library in sys.argv[1:]:
        for name in sorted(set(calls(library))):
            print(name, library)
