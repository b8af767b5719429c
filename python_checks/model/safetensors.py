"""Headers of safetensors files, checked against the size of the file.

Format: 8 bytes little-endian length N, N bytes of JSON {tensor: {dtype, shape, data_offsets: [begin, end]}},
then the data (https://huggingface.co/docs/safetensors, "Format").
"""

import json
import os
from pathlib import Path

from python_checks.core import regular_file
from python_checks.core.say import say

LONGEST_HEADER = 100_000_000  # bytes; the limit of the safetensors library


class BadShardError(ValueError):
    """A file that is no whole safetensors file; the message names it and says why."""


def tensors(path: Path) -> set[str]:
    """Return the names of the tensors in a file that is whole.

    Raises:
        BadShardError: the header is broken, or the size differs from what the header says.
        OSError: the file cannot be read.
    """
    with regular_file.opened(path) as file:
        real = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if real >= 8 and length > LONGEST_HEADER:
            raise BadShardError(
                say(
                    "{name} is no safetensors file: it begins with {begin}",
                    name=path.name,
                    begin=repr(length.to_bytes(8, "little")),
                )
            )
        if real < 8 or length > real - 8:
            raise BadShardError(
                say(
                    "{name} is cut in its header: {real} bytes, the header alone needs {wanted}",
                    name=path.name,
                    real=real,
                    wanted=8 + length,
                )
            )
        raw = file.read(length)
    try:
        header = json.loads(raw)
        spans = {name: entry["data_offsets"] for name, entry in header.items() if name != "__metadata__"}
        end = 0
        for begin, stop in sorted(spans.values()):
            if begin != end or stop < begin:
                raise BadShardError(
                    say(
                        "{name}: its header leaves a gap or an overlap at byte {end} of the data",
                        name=path.name,
                        end=end,
                    )
                )
            end = stop
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        if isinstance(error, BadShardError):
            raise
        raise BadShardError(
            say("{name} has no valid safetensors header: {error}", name=path.name, error=repr(error))
        ) from error
    expected = 8 + length + end
    if real != expected:
        verdict = say("truncated") if real < expected else say("too long")
        raise BadShardError(
            say(
                "{name} is {verdict}: {real} bytes, its header says {expected}",
                name=path.name,
                verdict=verdict,
                real=real,
                expected=expected,
            )
        )
    return set(spans)
