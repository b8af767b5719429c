"""Results as metrics, in a file that the textfile collector of Prometheus' node_exporter reads."""

import argparse
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from python_checks.core.result import CheckError, Fault, Result, State
from python_checks.core.say import say

PREFIX = "vllm_probe_"


def path(value: str) -> Path:
    """Return the path of a file that the collector reads, or refuse another."""
    if not value.endswith(".prom"):
        raise argparse.ArgumentTypeError(
            f"the collector reads only files whose name ends in .prom: {value!r}"
        )
    return Path(value)


def write(file: Path, results: Sequence[Result], releases: Mapping[str, str]) -> None:
    """Write the metrics of `results` in one step; `releases` is service -> activated release.

    Raises:
        CheckError: it cannot be written.
    """
    # Loaded here: it takes longer than many a probe, and few ask for it.
    from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

    registry = CollectorRegistry()

    def gauge(name: str, about: str, *labels: str) -> Gauge:
        return Gauge(PREFIX + name, about, labels, registry=registry)

    of = ("probe", "service") if any(result.service for result in results) else ("probe",)
    success = gauge("success", "1 when the probe's verdict is ok or warning, else 0.", *of)
    state = gauge("state", "Verdict: 0 ok, 1 warning, 2 critical, 3 unknown.", *of)
    duration = gauge("duration_seconds", "How long the probe took.", *of)
    last_run = gauge("last_run_timestamp_seconds", "When the probe ended, since the epoch.", *of)
    figures: dict[str, Gauge] = {}
    for result in results:
        # A dashboard finds a probe by one name, however many services the host has.
        own = (result.check.removesuffix(f" of {result.service}"), result.service)[: len(of)]
        success.labels(*own).set(result.state in (State.OK, State.WARNING))
        state.labels(*own).set(result.state)
        duration.labels(*own).set(result.seconds)
        last_run.labels(*own).set(time.time())
        for figure in result.figures:
            name = figure.name + ("_seconds" if figure.unit == "s" else "")
            if name not in figures:
                figures[name] = gauge(name, f"What the probe measured: {figure.name}.", *of)
            figures[name].labels(*own).set(figure.value)
    if releases:
        # The collector refuses a second file with the same labels.
        labels = ("textfile", "service", "release")
        info = gauge("release_info", "The releases that were activated at the last run.", *labels)
        for service, release in releases.items():
            info.labels(file.stem, service, release).set(1)
    # The library makes a file of its own and renames it, so it is the mask that decides who may read it from the first moment on.
    mask = os.umask(0o022)
    try:
        write_to_textfile(str(file), registry)
    except OSError as error:
        remedy = say("is there room (df), and may this user write in its directory?")
        raise CheckError(
            Fault(
                say("cannot write {file}: {strerror}", file=file, strerror=error.strerror),
                remedy,
                State.UNKNOWN,
            )
        ) from error
    finally:
        os.umask(mask)
