"""The metrics that --textfile writes: what they say, how the file gets there, and what Prometheus' own checker says of it."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families as families
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from python_checks import cli
from python_checks.core.result import Figure, Result, State
from python_checks.report import textfile
from tests.prometheus import node_exporter, promtool
from tests.python_checks.support import ROOT, Healthy, Probe, Server

MEASURED = [
    Result("canary", State.WARNING, "slow", figures=(Figure("ttft", 0.12, "s", 2, 10), Figure("strikes", 1))),
    Result("chat", State.UNKNOWN, "not run", figures=(Figure("ttft", 3.5, "s"),)),
]


def samples(file: Path) -> dict[tuple[str, ...], float]:
    """Read the file with the library's own parser: (name, values of the labels by their names) -> value; all are gauges with a help."""
    found = {}
    for family in families(file.read_text(encoding="utf-8")):
        assert family.type == "gauge" and family.documentation
        for sample in family.samples:
            found[(sample.name, *(value for _, value in sorted(sample.labels.items())))] = sample.value
    return found


@pytest.fixture
def judge() -> list[str]:
    """Give the command that checks metrics on its standard input."""
    return [promtool(), "check", "metrics"]


def judged(judge: list[str], metrics: str) -> tuple[int, str]:
    done = subprocess.run(judge, input=metrics, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, done.stdout + done.stderr


def test_each_probe_and_release_is_told(probe: Probe, healthy: Healthy, tmp_path: Path) -> None:
    server, options = healthy
    server.answers["/v1/chat"] = (500, {})
    (tmp_path / "releases" / "vllm").mkdir(parents=True)
    (tmp_path / "releases" / "vllm" / "current").symlink_to("0.32.0-1a2b3c4d5e6f")
    file = tmp_path / "probes.prom"
    begun = time.time()
    done = probe(
        *(*options, "--format", "json", "--textfile", str(file)),
        *("--releases", str(tmp_path / "releases")),
    )
    assert done.returncode == 2 and done.stderr == ""
    found = samples(file)
    assert found.pop(("vllm_probe_release_info", "0.32.0-1a2b3c4d5e6f", "vllm", "probes")) == 1
    for result in json.loads(done.stdout)["results"]:
        name = result["check"]
        failed = name == "chat"
        assert found.pop(("vllm_probe_success", name)) == (not failed)
        assert found.pop(("vllm_probe_state", name)) == (2 if failed else 0)
        assert found.pop(("vllm_probe_duration_seconds", name)) == pytest.approx(result["seconds"], abs=0.001)
        assert begun < found.pop(("vllm_probe_last_run_timestamp_seconds", name)) < time.time()
    assert found == {}


def test_figures_are_gauges_with_their_unit(tmp_path: Path) -> None:
    file = tmp_path / "canary.prom"
    textfile.write(file, MEASURED, {})
    found = samples(file)
    assert found[("vllm_probe_ttft_seconds", "canary")] == 0.12
    assert found[("vllm_probe_ttft_seconds", "chat")] == 3.5
    assert found[("vllm_probe_strikes", "canary")] == 1
    assert [found[("vllm_probe_success", name)] for name in ("canary", "chat")] == [1, 0]
    assert [found[("vllm_probe_state", name)] for name in ("canary", "chat")] == [1, 3]
    assert not [name for name, *_ in found if "release" in name]


@pytest.mark.slow
def test_node_exporter_takes_several_files(tmp_path: Path, free_port: int) -> None:
    names = ("canary", "deep")
    for name in names:
        probes = [Result(f"{name}-{place}", State.OK, "fine") for place in range(2)]
        textfile.write(tmp_path / f"{name}.prom", probes, {"vllm": "0.32.0-1a2b3c4d5e6f"})
    place = f"127.0.0.1:{free_port}"
    options = [
        "--collector.disable-defaults",
        "--collector.textfile",
        f"--collector.textfile.directory={tmp_path}",
        f"--web.listen-address={place}",
    ]
    with subprocess.Popen([node_exporter(), *options], stderr=subprocess.PIPE, text=True) as exporter:
        try:
            with requests.Session() as session:
                session.mount("http://", HTTPAdapter(max_retries=Retry(connect=9, backoff_factor=0.1)))
                scraped = session.get(f"http://{place}/metrics", timeout=10)
        finally:
            exporter.terminate()
        said = exporter.communicate(timeout=20)[1]
    lines = scraped.text.splitlines()
    assert "node_textfile_scrape_error 0" in lines
    assert "collected before" not in said
    for name in names:
        for metric in samples(tmp_path / f"{name}.prom"):
            assert any(all(f'"{value}"' in line for value in metric[1:]) for line in lines), (metric, said)
    assert len([line for line in lines if line.startswith("vllm_probe_release_info{")]) == 2


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ("# HELP vllm_probe_success", "# vllm_probe_success", "no help text"),
        ("duration_seconds", "duration_milliseconds", "use base unit"),
        ('{probe="chat"}', '{probe="chat}', "error while linting"),
    ],
)
@pytest.mark.slow
def test_promtool_takes_it_and_refuses_a_bad_one(
    tmp_path: Path, judge: list[str], right: str, wrong: str, words: str
) -> None:
    file = tmp_path / "canary.prom"
    textfile.write(file, MEASURED, {"vllm": "0.32.0-1a2b3c4d5e6f"})
    good = file.read_text(encoding="utf-8")
    assert right in good and judged(judge, good) == (0, "")
    code, said = judged(judge, good.replace(right, wrong))
    assert code != 0 and words in said


@pytest.mark.parametrize("mask", [0o077, 0o000])
def test_the_file_is_replaced_whole_and_all_may_read_it(tmp_path: Path, mask: int) -> None:
    file = tmp_path / "canary.prom"
    before = os.umask(mask)
    try:
        textfile.write(file, MEASURED, {})
        with file.open(encoding="utf-8") as reader:
            textfile.write(file, MEASURED[:1], {})
            seen = reader.read()
        assert os.umask(mask) == mask
    finally:
        os.umask(before)
    assert "chat" in seen and "chat" not in file.read_text(encoding="utf-8")
    assert file.stat().st_mode & 0o777 == 0o644
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("name", cli.CHECKS)
def test_every_check_writes_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main([name, "--help"])
    assert "--textfile FILE" in capsys.readouterr().out


def test_a_name_that_the_collector_skips_is_wrong_usage(probe: Probe, server: Server, tmp_path: Path) -> None:
    done = probe("health", "--url", server.url, "--textfile", str(tmp_path / "probes.txt"))
    assert done.returncode == 3 and done.stdout == ""
    assert "--textfile" in done.stderr and "ends in .prom" in done.stderr
    assert server.requests == []


def test_a_write_that_fails_does_not_swallow_the_verdict(server: Server, tmp_path: Path) -> None:
    server.answers["/health"] = (200, "")
    file = tmp_path / "probes.prom"
    file.write_text("earlier")

    def run(path: Path, room: int) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "python_checks", "health", "--url", server.url]
        return subprocess.run(
            [*command, "--textfile", str(path)],
            cwd=ROOT,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room)),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    missing = tmp_path / "missing" / "probes.prom"
    for path, room, reason in ((missing, 1 << 20, "No such file"), (file, 100, "File too large")):
        done = run(path, room)
        assert done.returncode == 3
        assert done.stdout.startswith("health OK: /health says 200 | time=")
        words, remedy = done.stderr.splitlines()
        assert words.startswith(f"python_checks UNKNOWN: cannot write {path}: {reason}")
        assert remedy.startswith("remedy: ")
    assert file.read_text() == "earlier" and list(tmp_path.iterdir()) == [file]
    assert run(file, 1 << 20).returncode == 0 and "vllm_probe_success" in file.read_text()


def test_the_library_is_loaded_only_when_asked_for(tmp_path: Path) -> None:
    code = "import sys; from python_checks import cli; cli.main(sys.argv[1:]); print('prometheus_client' in sys.modules)"
    for more, loaded in ((), "False"), (("--textfile", str(tmp_path / "port.prom")), "True"):
        done = subprocess.run(
            [sys.executable, "-c", code, "model-files", "--directory", str(tmp_path), *more],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert done.stdout.splitlines()[-1] == loaded
