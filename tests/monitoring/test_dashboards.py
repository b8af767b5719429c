"""Each query of each dashboard gives data in a real Prometheus that scraped what the real services say."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.monitoring.served import JOBS, ROOT, Prometheus, Site, recorded, scraped

DASHBOARDS = {
    path.stem: json.loads(path.read_text())
    for path in sorted((ROOT / "roles/monitoring/files/dashboards").glob("*.json"))
}
# What Grafana would put in: one host where a dashboard asks for one, all where it asks for several.
VALUES = {"instance": "ml35", "__rate_interval": "4s", "__range": "1m"}
ALL = ".*"


def filled(expression: str, dashboard: dict[str, Any]) -> str:
    """Return a query with the variables of its dashboard filled in."""
    several = {each["name"] for each in dashboard["templating"]["list"] if each.get("multi")}
    values = VALUES | dict.fromkeys(several, ALL)
    return re.sub(r"\$(\w+)", lambda found: values[found.group(1)], expression)


def panels(dashboard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield title and query of each panel, and of each annotation."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield panel["title"], target["expr"]
    for mark in dashboard["annotations"]["list"]:
        yield mark["name"], mark["expr"]


QUERIES = [
    pytest.param(filled(query, dashboard), id=f"{name}: {title}")
    for name, dashboard in DASHBOARDS.items()
    for title, query in panels(dashboard)
]
CHOICES = [
    pytest.param(variable["query"], id=f"{name}: {variable['name']}")
    for name, dashboard in DASHBOARDS.items()
    for variable in dashboard["templating"]["list"]
    if variable["type"] == "query"
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """Two hosts, scraped eight times."""
    says = {(host, job): recorded(job) for host in ("ml35", "ml36") for job in JOBS}
    with scraped(tmp_path_factory.mktemp("prometheus"), Site(says)) as prometheus:
        yield prometheus


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_gives_data(query: str, site: Prometheus) -> None:
    numbers = [float(each["value"][1]) for each in site.query(query)]
    assert any(map(math.isfinite, numbers)), f"{query}: {numbers or 'nothing'}"


@pytest.mark.parametrize("choice", CHOICES)
def test_a_variable_has_a_choice(choice: str, site: Prometheus) -> None:
    found = re.fullmatch(r"label_values\((.+), (\w+)\)", choice)
    assert found, choice
    assert site.label_values(found.group(1).replace("$instance", "ml35"), found.group(2))


def test_a_growing_counter_is_seen_to_grow(site: Prometheus) -> None:
    """Fleet's tokens a second: a tenth of what was recorded at each scrape, which comes once a second."""
    tokens = re.search(r"(?m)^vllm:generation_tokens_total\{.*\} (\S+)", recorded("vllm"))
    query = next(query for title, query in panels(DASHBOARDS["fleet"]) if title == "Tokens written a second")
    assert tokens
    rates = [float(each["value"][1]) for each in site.query(filled(query, DASHBOARDS["fleet"]))]
    assert rates == pytest.approx([float(tokens.group(1)) / 10] * 2, rel=0.2)


@pytest.mark.parametrize("name", DASHBOARDS)
def test_any_grafana_can_take_it(name: str) -> None:
    """No data source of another's Grafana is named, and each panel has room of its own."""
    dashboard = DASHBOARDS[name]
    assert {json.dumps(uid) for uid in _sources(dashboard)} == {'"${datasource}"'}
    places = [
        (p["gridPos"]["y"] + y, p["gridPos"]["x"] + x)
        for p in dashboard["panels"]
        for y in range(p["gridPos"]["h"])
        for x in range(p["gridPos"]["w"])
    ]
    assert len(places) == len(set(places)), "panels lie on each other"
    assert max(x for _, x in places) < 24


def _sources(value: Any) -> Iterator[Any]:
    """Yield the uid of each data source that is named."""
    if isinstance(value, dict):
        if isinstance(value.get("datasource"), dict):
            yield value["datasource"].get("uid")
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from _sources(each)


def test_the_three_are_there() -> None:
    assert set(DASHBOARDS) == {"fleet", "server", "keys"}
    assert len({each["uid"] for each in DASHBOARDS.values()}) == 3
