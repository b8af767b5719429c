"""A day that a Prometheus seems to have seen: recorded values, spread over 24 hours, imported by promtool."""

from __future__ import annotations

import math
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.monitoring.served import SAMPLE, moved, recorded
from tests.prometheus import promtool

STEP = 120  # seconds between two samples
DAY = 86400
MORE = 400  # times what was recorded, which was a minute's work of a tiny model
TTFT, WRITTEN = "vllm:time_to_first_token_seconds_bucket", "vllm:generation_tokens_total"
KEYS = re.compile(r"vllm_gateway_key_(requests|errors|tokens)_total")


def busy_day(job: str) -> str:
    """Return what a host says after a day."""
    return moved(recorded(job), MORE - 1)


def samples(text: str) -> Iterator[tuple[str, str, float]]:
    """Yield name, labels and value of each sample of an exposition."""
    for line in text.splitlines():
        if not line.startswith("#") and (found := SAMPLE.fullmatch(line)):
            yield found.group("name"), (found.group("labels") or "{}")[1:-1], float(found.group("value"))


def busy(hour: float) -> float:
    """Return how much of a day's work falls on an hour: little at night, most at noon and in the afternoon."""
    return 0.15 + math.exp(-(((hour - 11) / 2.5) ** 2)) + 0.8 * math.exp(-(((hour - 16) / 3) ** 2))


def counters(instance: str, shift: float) -> Iterator[tuple[str, list[float]]]:
    """Yield series and values of what grows over the day, up to what a host says now."""
    loads = [busy((step * STEP / 3600 + shift) % 24) for step in range(DAY // STEP)]
    total, sums = sum(loads), [0.0]
    for load in loads:
        sums.append(sums[-1] + load / total)
    for name, labels, value in samples(busy_day("vllm")):
        if name in (TTFT, WRITTEN):
            # First tokens come later the busier it is: some of the quick ones are then counted in slow buckets only.
            slow = [0.0]
            for load in loads:
                slow.append(slow[-1] + load / total * min(1.0, 0.6 * load))
            edge = float(found.group(1)) if (found := re.search(r'le="([\d.]+)"', labels)) else math.inf
            late = 0.12 if name == TTFT and edge < 1 else 0.0
            values = [value * (done - late * extra) for done, extra in zip(sums, slow, strict=True)]
            yield f'{name}{{{labels},instance="{instance}",service="vllm",job="vllm"}}', values
    for name, labels, value in samples(busy_day("node")):
        if KEYS.fullmatch(name):
            yield f'{name}{{{labels},instance="{instance}",job="node"}}', [value * done for done in sums]


def verdicts(instance: str, state: Callable[[str, float], float]) -> Iterator[tuple[str, list[float]]]:
    """Yield the verdicts of the day; `state` gives that of a probe so many hours ago."""
    for name, labels, _ in samples(recorded("node")):
        if name == "vllm_probe_state":
            probe = labels.partition('probe="')[2].partition('"')[0]
            values = [state(probe, 24 - step * STEP / 3600) for step in range(DAY // STEP + 1)]
            yield f'{name}{{{labels},instance="{instance}",job="node"}}', values


def alert(instance: str, name: str) -> Iterator[tuple[str, list[float]]]:
    """Yield an alert that fires since ten minutes."""
    labels = (
        f'alertname="{name}",alertstate="firing",instance="{instance}",service="vllm",severity="critical"'
    )
    yield f"ALERTS{{{labels}}}", [1.0] * (600 // STEP)


def remember(data: Path, series: Iterator[tuple[str, list[float]]]) -> None:
    """Write series, whose last sample is of now, into the directory of a Prometheus that does not run yet."""
    now = int(time.time())
    file = data.with_suffix(".openmetrics")
    with file.open("w") as text:
        for name, values in series:
            first = now - STEP * (len(values) - 1)
            text.writelines(f"{name} {value:.9g} {first + STEP * at}\n" for at, value in enumerate(values))
        text.write("# EOF\n")
    argv = [promtool(), "tsdb", "create-blocks-from", "openmetrics", str(file), str(data)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
