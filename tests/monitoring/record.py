"""Record what a real service serves at /metrics, for names.py and served.py: ``python tests/monitoring/record.py NAME URL``.

NAME is vllm, haproxy or node, or systemd for what the node of a systemd host says of its units. URL is its /metrics, such as
http://127.0.0.1:9100/metrics, or - for standard input: ``ssh HOST curl -s http://127.0.0.1:9100/metrics | python record.py systemd -``.
Without a URL it is what vLLM's own logger registers, without an engine; that takes a Python with vLLM:
``/opt/vllm/venvs/vllm-.../bin/python tests/monitoring/record.py vllm``.
"""

from __future__ import annotations

import re
import sys
import urllib.request
from pathlib import Path
from types import SimpleNamespace

PLACE = Path(__file__).with_name("scrapes")
# The exporters' own, and times of creation.
LEFT_OUT = ("python_", "process_", "go_", "promhttp_", "node_scrape_", "node_exporter_")
OF_UNITS = "node_systemd_"


def scraped(url: str) -> str:
    """Return what a service tells, or what somebody asked it."""
    if url == "-":
        return sys.stdin.read()
    with urllib.request.urlopen(url, timeout=10) as reply:
        return str(reply.read().decode())


def logged() -> str:
    """Return what vLLM's logger registers. Its configuration is a stand-in with the few attributes that the logger reads."""
    import prometheus_client
    from vllm.config import ObservabilityConfig
    from vllm.v1.metrics.loggers import PrometheusStatLogger
    from vllm.v1.metrics.stats import IterationStats, SchedulerStats

    absent = ("speculative", "kv_transfer", "ec_transfer", "lora", "watermark")
    configuration = SimpleNamespace(
        observability_config=ObservabilityConfig(),
        model_config=SimpleNamespace(
            served_model_name="gpt-oss-120b", max_model_len=131072, is_diffusion=False
        ),
        cache_config=SimpleNamespace(metrics_info=lambda: {"block_size": "16"}),
        **{f"{name}_config": None for name in absent},
    )
    logger = PrometheusStatLogger(configuration, [0])
    logger.log_engine_initialized()
    logger.record(SchedulerStats(), IterationStats(), engine_idx=0)
    return str(prometheus_client.generate_latest().decode())


def kept(text: str, only: str = "") -> str:
    """Return what rules and dashboards may ask for, with the lines that tell its types; of names that begin with ``only``."""
    named = {line: line.removeprefix("# HELP ").removeprefix("# TYPE ") for line in text.splitlines() if line}
    return "".join(
        f"{line}\n"
        for line, name in named.items()
        if name.startswith(only)
        and not name.startswith(LEFT_OUT)
        and not re.match(r"\w+_created\b", name.replace(":", "_"))
    )


if __name__ == "__main__":
    name, *urls = sys.argv[1:]
    only = OF_UNITS if name == "systemd" else ""
    (PLACE / f"{name}.prom").write_text(kept(scraped(urls[0]) if urls else logged(), only))
