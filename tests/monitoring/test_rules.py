"""The alert rules, judged by Prometheus' own promtool: each fires on its fault, and none fires in any other case."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.prometheus import promtool

ROOT = Path(__file__).resolve().parents[2]
RULES = ROOT / "roles/monitoring/files/rules/vllm-deploy.yml"
DOCUMENT = yaml.safe_load(RULES.read_text())
ALERTS: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in DOCUMENT["groups"][0]["rules"]}
GIVEN = yaml.safe_load(Path(__file__).with_name("cases.yml").read_text())
CASES = {case["name"]: case for case in GIVEN["cases"]}
# What an alert says beside its name: the labels by which it is summed up.
LABELS = {
    "GatewayErrors": ("proxy",),
    "UnitFailed": ("name",),
    "UnitRestartsOften": ("name",),
    "DiskFull": ("device",),
}
VALUES = {
    "proxy": "vllm",
    "name": "vllm.service",
    "device": "/dev/sda1",
    "service": "vllm",
    "instance": "ml35",
}
OF_HOSTS = ("HostDown", "GatewayDown", *LABELS)
# A looser or missing limit of each rule, and the case that must not stay silent with it.
LOOSER = {
    "VllmCanaryFailed": (">= 2", ">= 1", "busy, with a queue"),
    "VllmCanarySilent": ("> 300", "> 60", "the canary is four minutes late"),
    "VllmHealed": ("> 0", ">= 0", "it serves"),
    "VllmDeepProbeFailed": (" unless on (instance, service) last_over_time(vllm_probe_hands_off[30m]) == 1", "", "a maintenance of hours"),
    "VllmDown": (" unless on (instance, service) last_over_time(vllm_probe_hands_off[30m]) == 1", "", "a restart by a person"),
    "HostDown": ("last_over_time(vllm_probe_hands_off[30m])", "vllm_probe_hands_off", "a host that reboots within a maintenance"),
    "GatewayDown": ("== 0", ">= 0", "it serves"),
    "VllmNothingAdmitted": (" and sum by (instance, service) (vllm:num_requests_running) == 0", "", "busy, with a queue"),
    "VllmStalled": (" and sum by (instance, service) (changes(vllm:kv_cache_usage_perc[2m])) == 0", "", "one long prompt"),
    "VllmQueueSlow": ("> 30", "> 2", "busy, with a queue"),
    "VllmFirstTokenSlow": ("> 10", "> 5", "busy, with a queue"),
    "VllmOutOfKvCache": ("> 0.1", "> 0.01", "busy, with a queue"),
    "VllmEngineErrors": ('finished_reason="error"', 'finished_reason!="stop"', "it serves"),
    "GatewayErrors": ("> 5 ", "> 1 ", "half of a few"),
    "UnitFailed": ('name=~"(vllm.*|backend|gateway|usage)[.]service"', 'name=~".+"', "the unit of the canary"),
    "UnitRestartsOften": (">= 3", "> 0", "it died once"),
    "DiskFull": ("< 0.2", "< 0.9", "the disk fills as fast"),
}  # fmt: skip


def checked(directory: Path, case: dict[str, Any], rules: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    """Let promtool hold every rule against a case."""
    (directory / "rules.yml").write_text(yaml.safe_dump(rules))
    given = GIVEN["base"] | inherited(case) | case.get("series", {})
    series = {GIVEN["names"][name]: values for name, values in given.items()}
    document = {
        "rule_files": ["rules.yml"],
        "evaluation_interval": "5m" if case["at"].endswith("h") else "1m",
        "tests": [
            {
                "interval": "30s",
                "input_series": [{"series": name, "values": str(values)} for name, values in series.items()],
                "alert_rule_test": [
                    {"eval_time": case["at"], "alertname": name, "exp_alerts": expected(name, case)}
                    for name in ALERTS
                ],
            }
        ],
    }
    (directory / "tests.yml").write_text(yaml.safe_dump(document))
    argv = [promtool(), "test", "rules", "tests.yml"]
    return subprocess.run(argv, cwd=directory, capture_output=True, text=True, timeout=60, check=False)


def inherited(case: dict[str, Any]) -> dict[str, Any]:
    """Return the series of the case that one is like."""
    return next(
        (CASES[name]["series"] for name in CASES if "like" in case and name.startswith(case["like"])), {}
    )


def expected(name: str, case: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the alerts of that name that a case wants."""
    if name not in case.get("fires", {}):
        return []
    labels = ["instance", *LABELS.get(name, () if name in OF_HOSTS else ("service",))]
    severity = {"severity": ALERTS[name]["labels"]["severity"]}
    return [
        {
            "exp_labels": {label: VALUES[label] for label in labels} | severity,
            "exp_annotations": {"summary": case["fires"][name]},
        }
    ]


def with_summaries(**changed: str) -> dict[str, Any]:
    """Return the rules with nothing but their summaries to compare, and other expressions for some."""
    rules = [
        rule
        | {
            "annotations": {"summary": rule["annotations"]["summary"]},
            "expr": changed.get(name, rule["expr"]),
        }
        for name, rule in ALERTS.items()
    ]
    return {"groups": [{"name": "rules", "rules": rules}]}


def test_promtool_accepts_the_rules() -> None:
    done = subprocess.run(
        [promtool(), "check", "rules", str(RULES)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0 and f"{len(ALERTS)} rules found" in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("name", CASES)
def test_what_fires_and_what_is_silent(tmp_path: Path, name: str) -> None:
    done = checked(tmp_path, CASES[name], with_summaries())
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_each_fires_and_a_case_notices_when_it_does_not(tmp_path: Path, alert: str) -> None:
    case = next(case for case in CASES.values() if alert in case.get("fires", {}))
    done = checked(
        tmp_path, case, with_summaries(**{alert: f"({ALERTS[alert]['expr']}) and on () vector(0) > 0"})
    )
    assert done.returncode == 1 and alert in done.stdout + done.stderr


@pytest.mark.parametrize("alert", ALERTS)
def test_a_looser_rule_cries_wolf(tmp_path: Path, alert: str) -> None:
    old, new, beginning = LOOSER[alert]
    [case] = [case for name, case in CASES.items() if name.startswith(beginning)]
    assert old in ALERTS[alert]["expr"] and alert not in case.get("fires", {})
    done = checked(tmp_path, case, with_summaries(**{alert: ALERTS[alert]["expr"].replace(old, new)}))
    assert done.returncode == 1 and f"alertname: {alert}" in done.stdout + done.stderr, (
        done.stdout + done.stderr
    )


@pytest.mark.parametrize("alert", ALERTS)
def test_each_says_how_bad_it_is_and_where_to_look(alert: str) -> None:
    rule = ALERTS[alert]
    assert rule["labels"] in ({"severity": "critical"}, {"severity": "warning"})
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    told = re.fullmatch(
        r"Symptom that checks doctor shows: (.+); then (docs/\w+\.md)#(\w+)",
        rule["annotations"]["runbook"].strip(),
    )
    assert told, rule["annotations"]["runbook"]
    symptom, page, anchor = told.groups()
    assert anchor == alert.lower() and f"### {alert}\n" in (ROOT / page).read_text()
    assert any(re.fullmatch(form, symptom) for form in symptoms()), symptom


def symptoms() -> list[str]:
    """Return the forms of the doctor's messages, as the catalogue has them."""
    messages = re.findall(
        r'^msgid "(.{8,})"$', (ROOT / "python_checks/locale/ko.po").read_text(), re.MULTILINE
    )
    forms = [
        re.sub(r"\\\{.+?\\\}", ".+", re.escape(message))
        for message in messages
        if message != "{name} {words}"
    ]
    return [*forms, r"\S.* " + re.escape("failed") + ".+"]
