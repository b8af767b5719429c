"""Every metric, label and value in the rules is one that a real service has."""

from __future__ import annotations

import re

import pytest

from tests.monitoring.names import strange
from tests.monitoring.test_rules import ALERTS, GIVEN


@pytest.mark.parametrize("alert", ALERTS)
def test_rules(alert: str) -> None:
    assert strange(ALERTS[alert]["expr"]) == []


@pytest.mark.parametrize("series", GIVEN["names"].values())
def test_cases_are_about_what_there_is(series: str) -> None:
    """Their devices and mounts are those of another host."""
    assert strange(re.sub(r'="[^"]*"', '=~".*"', series)) == []


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("vllm:gpu_cache_usage_perc > 0.9", ["no service has vllm:gpu_cache_usage_perc"]),
        ('vllm:request_success_total{finish_reason="error"}', ["vllm:request_success_total has no finish_reason='error'"]),
        ('vllm:request_success_total{finished_reason="eror"}', ["vllm:request_success_total has no finished_reason='eror'"]),
        ("sum by (user) (rate(vllm:num_preemptions_total[5m]))", ["no label user in sum by (user) (rate(vllm:num_preemptions_total[5m]))"]),
        ("rate(vllm_probe_strike[5m]) and on (instance) up", ["no service has vllm_probe_strike"]),
    ],
)  # fmt: skip
def test_what_would_be_found(expression: str, found: list[str]) -> None:
    assert strange(expression) == found
