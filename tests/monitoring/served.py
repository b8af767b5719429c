"""A real Prometheus that scrapes recorded expositions of real services, with counters that move; all on free ports of 127.0.0.1."""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import requests
import yaml

from tests.ports import free_port
from tests.prometheus import prometheus
from tests.serving import running

ROOT = Path(__file__).resolve().parents[2]
SCRAPES = Path(__file__).with_name("scrapes")
# Which recordings a host answers with, by the job of the scrape list.
JOBS = {"vllm": ["vllm"], "node": ["node", "systemd"], "gateway": ["haproxy"], "gpu": ["gpu"]}
SAMPLE = re.compile(r"(?P<name>[^{ ]+)(?P<labels>\{.*\})? (?P<value>\S+)")
GROWTH = 0.1  # of what was recorded, from one scrape to the next, where nothing else is said
SECONDS = 60  # for Prometheus to have what a test needs


def recorded(job: str) -> str:
    """Return what a host says of itself under a job; its canary has just run."""
    text = "".join((SCRAPES / f"{name}.prom").read_text() for name in JOBS[job])
    return re.sub(r"(?m)^(vllm_probe_last_run_timestamp_seconds\{.*\}) .*", rf"\g<1> {time.time():.1f}", text)


def moved(text: str, growth: float) -> str:
    """Return a recording as it would be later: counters and histograms have grown by this share, gauges are as they were."""
    kinds = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)", text))

    def line(found: re.Match[str]) -> str:
        name, labels, value = found.group("name"), found.group("labels") or "", float(found.group("value"))
        family = re.sub(r"_(bucket|sum|count)$", "", name)
        if kinds.get(name) == "counter" or kinds.get(family) == "histogram":
            value *= 1 + growth
        return f"{name}{labels} {value:.17g}"

    return (
        "\n".join(each if each.startswith("#") else SAMPLE.sub(line, each) for each in text.splitlines())
        + "\n"
    )


@dataclass
class Site:
    """What is scraped: (instance, job) -> text, None for one that does not answer."""

    says: Mapping[tuple[str, str], str | None]
    url: str = ""
    growth: float = GROWTH
    scrapes: Counter[str] = field(default_factory=Counter)


@contextmanager
def exporters(site: Site) -> Iterator[None]:
    """Serve a site at /INSTANCE/JOB while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            instance, job = self.path.strip("/").split("/")
            text = site.says[instance, job]
            if text is None:
                self.send_error(503)
                return
            site.scrapes[self.path] += 1
            body = moved(text, site.growth * site.scrapes[self.path]).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Stay silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.url = f"127.0.0.1:{server.server_port}"
    with running(server):
        yield


def scrape_list(site: Site) -> str:
    """Return Prometheus' configuration, with the labels of the scrape list that the deploy writes."""
    jobs: dict[str, list[dict[str, Any]]] = {}
    for instance, job in site.says:
        labels = {"instance": instance, "__metrics_path__": f"/{instance}/{job}"}
        labels |= {"service": job} if job in ("vllm", "gateway") else {}
        jobs.setdefault(job, []).append({"targets": [site.url], "labels": labels})
    configs = [{"job_name": job, "static_configs": targets} for job, targets in jobs.items()]
    return yaml.safe_dump(
        {"global": {"scrape_interval": "1s", "scrape_timeout": "1s"}, "scrape_configs": configs}
    )


@dataclass(frozen=True)
class Prometheus:
    """A running one."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """Return the vector that an instant query gives."""
        answer = requests.get(f"{self.url}/api/v1/query", params={"query": expression}, timeout=20).json()
        assert answer["status"] == "success", f"{expression}: {answer['error']}"
        return list(answer["data"]["result"])

    def label_values(self, selector: str, label: str) -> list[str]:
        """Return the values of a label of some series."""
        answer = requests.get(
            f"{self.url}/api/v1/label/{label}/values", params={"match[]": selector}, timeout=20
        ).json()
        assert answer["status"] == "success", f"{selector}: {answer['error']}"
        return list(answer["data"])


@contextmanager
def scraped(home: Path, site: Site, *, scrapes: int = 8) -> Iterator[Prometheus]:
    """Yield a Prometheus that has scraped each answering service of a site so many times; `home`/data may hold blocks of before."""
    address = f"127.0.0.1:{free_port()}"
    with exporters(site):
        config, log = home / "prometheus.yml", home / "log"
        config.write_text(scrape_list(site))
        consoles = ROOT / "roles/monitoring/files/consoles"
        argv = [
            prometheus(),
            f"--config.file={config}",
            f"--storage.tsdb.path={home / 'data'}",
            f"--web.listen-address={address}",
            f"--web.console.templates={consoles}",
            f"--web.console.libraries={consoles}",
        ]
        with log.open("ab") as output:
            process = subprocess.Popen(argv, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
        try:
            running = Prometheus(f"http://{address}")
            deadline = time.monotonic() + SECONDS
            wanted = {f"/{instance}/{job}" for (instance, job), text in site.says.items() if text is not None}
            while min(site.scrapes[path] for path in wanted) < scrapes:
                assert process.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() < deadline, log.read_text()[-3000:]
                time.sleep(0.1)
            yield running
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)
