"""roles/monitoring by deploy.yml, with the real programs: what it scrapes, whom it tells, and what a broken change does."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

from python_checks.core.result import State
from tests.monitoring.watched import TOKEN, Watched

SERVICES = ("vllm-node-exporter", "vllm-alertmanager", "vllm-prometheus")


def test_it_scrapes_itself_and_knows_the_rules(watched: Watched) -> None:
    watched.until(lambda: watched.targets() == {"node ml35": "up"}, 60, "node_exporter is scraped")
    [group] = watched.api("rules")["groups"]
    assert len(group["rules"]) == 17 and {rule["health"] for rule in group["rules"]} <= {"ok", "unknown"}
    assert watched.api("status/flags")["storage.tsdb.retention.time"] in ("30d", "0s")


def test_who_is_told(watched: Watched) -> None:
    """Without the minute that a red verdict waits, for it fires at once when the canary restarted something."""
    watched.canary(State.WARNING, heals=1, hands_off=0)
    watched.until(lambda: watched.alerts().get("VllmHealed") == "firing", 60, "the alert fires")
    watched.until(lambda: watched.told, 90, "the webhook is told")
    header, body = watched.told[0]
    assert header == f"Bearer {TOKEN}"
    [alert] = [each for each in body["alerts"] if each["labels"]["alertname"] == "VllmHealed"]
    assert alert["labels"] | {"instance": "ml35", "service": "vllm", "severity": "warning"} == alert["labels"]
    assert alert["annotations"]["summary"] == "the canary restarted vllm on ml35"


def test_the_secret_is_in_one_file_alone(watched: Watched) -> None:
    assert TOKEN not in watched.first.stdout
    holders = {
        path
        for path in watched.home.rglob("*")
        if path.is_file() and TOKEN in path.read_text(errors="replace")
    }
    assert holders and {path.relative_to(watched.home).parts[:2] for path in holders} == {
        ("secrets", "vllm-alertmanager")
    }
    assert {path.stat().st_mode & 0o777 for path in holders} == {0o600}
    for pid in (path for path in Path("/proc").iterdir() if path.name.isdecimal()):
        with suppress(FileNotFoundError, ProcessLookupError):
            assert TOKEN.encode() not in (pid / "cmdline").read_bytes()


def test_a_second_deploy_changes_nothing(watched: Watched) -> None:
    done = watched.play("deploy.yml")
    assert done.returncode == 0 and "changed=0" in done.stdout, done.stdout[-4000:]


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("monitoring_webhooks", '["http://chat.example.com/%zz"]', "invalid URL escape"),
        ("monitoring_mail_to", '["ops@example.com"]', "monitoring_mail_from"),
        ("monitoring_exporter_prot", "9100", "did you mean monitoring_exporter_port"),
    ],
)
def test_what_is_wrong_is_refused_and_what_served_goes_on(
    watched: Watched, name: str, value: str, why: str
) -> None:
    before = running(watched)
    done = watched.play("deploy.yml", "-e", f'{{"{name}": {value}}}')
    assert done.returncode != 0 and why in " ".join(done.stdout.split()), done.stdout[-4000:]
    assert running(watched) == before


@pytest.mark.long  # a minute; roles/service has the same elsewhere
def test_a_prometheus_that_does_not_start_is_taken_back(watched: Watched) -> None:
    done = watched.play("deploy.yml", "-e", "monitoring_retention=500y")
    assert done.returncode != 0
    watched.until(lambda: watched.targets() == {"node ml35": "up"}, 60, "the one before scrapes again")


def running(watched: Watched) -> str:
    """Return the starts of the processes."""
    return "".join((watched.home / "releases" / name / "current").resolve().name for name in SERVICES)
