"""Whether all weight files are there, by their names and by what they hold, where no index tells it."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from python_checks.core.result import Fault
from python_checks.core.say import count, say
from python_checks.model.unreadable import COPY

NAME = re.compile(r"(.+)-(\d+)-of-(\d+)$")
LAYER = re.compile(r"\b(?:layers|block|h)\.(\d+)\.(.+)")
MOST = 3  # names that are told
GPT_OSS = "gpt_oss"
FROM_ZERO = say("gpt-oss counts its files from 00000: of 15 the last is 00014-of-00014")


def numbered(files: Sequence[Path]) -> bool:
    """Tell whether the files are parts of one model, by their names."""
    return any(NAME.match(file.stem) for file in files)


def by_names(files: Sequence[Path], model_type: str) -> list[Fault]:
    """Fault parts that are missing: a name tells the number of the last part, or how many there are, by where it begins to count."""
    sets: dict[tuple[str, str], dict[int, str]] = {}
    for file in files:
        if found := NAME.match(file.stem):
            sets.setdefault((found[1], found[3]), {})[int(found[2])] = found[2]
    if len(sets) > 1:
        heads = ", ".join(f"{head}-…-of-{last}" for head, last in list(sets)[:MOST])
        words = say("weights of several models lie side by side: {heads}", heads=heads)
        return [Fault(words, say("remove those that do not belong there"))]
    faults = []
    for (head, last), parts in sets.items():
        first, total = min(parts), int(last)
        if first > 1:
            faults.append(
                Fault(
                    count(
                        len(parts),
                        "{number} shard of {total} is there, and no index",
                        "{number} shards of {total} are there, and no index",
                        total=total,
                    ),
                    COPY,
                )
            )
            continue
        # Who begins with 1 ends with the number in the name; who begins with 0 ends one before it, but gpt-oss.
        end = total + 1 if first == 1 or model_type == GPT_OSS or total in parts else total
        missing = [number for number in range(first, end) if number not in parts]
        width, suffix = len(next(iter(parts.values()))), files[0].suffix
        names = [f"{head}-{number:0{width}}-of-{last}{suffix}" for number in missing]
        faults += [
            Fault(
                say("{name} is missing", name=name),
                say("{copy}; {from_zero}", copy=COPY, from_zero=FROM_ZERO) if first == 0 else COPY,
            )
            for name in names[:MOST]
        ]
        if len(names) > MOST:
            more = count(
                len(names) - MOST, "{number} more shard is missing", "{number} more shards are missing"
            )
            faults.append(Fault(more, COPY))
    return faults


def by_layers(tensors: Collection[str], config: Mapping[str, Any]) -> list[Fault]:
    """Fault layers of which nothing is there, or, as all layers of gpt-oss are alike, less than of the others."""
    layers: dict[int, set[str]] = {}
    for name in tensors:
        if found := LAYER.search(name):
            layers.setdefault(int(found[1]), set()).add(found[2])
    number = config.get("num_hidden_layers")
    if not layers or not isinstance(number, int):
        return []
    whole = set().union(*layers.values()) if config.get("model_type") == GPT_OSS else set()
    lacking = [layer for layer in range(number) if not layers.get(layer) or whole - layers[layer]]
    if lacking:
        some = ", ".join(map(str, lacking[:MOST])) + (", …" if len(lacking) > MOST else "")
        return [
            Fault(
                say(
                    "the weights of {number} of {total} layers are not all there: layer {some}",
                    number=len(lacking),
                    total=number,
                    some=some,
                ),
                COPY,
            )
        ]
    if config.get("model_type") == GPT_OSS and not any("embed" in name for name in tensors):
        return [Fault(say("the embeddings are not among the weights"), COPY)]
    return []
