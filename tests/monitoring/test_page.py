"""The status page in a real browser: on a desk, on a phone, in the dark, and while something is wrong."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import pytest
import requests

from tests.monitoring.browser import PROGRAM, Tab, chromium
from tests.monitoring.past import alert, busy_day, counters, remember, verdicts
from tests.monitoring.served import JOBS, Prometheus, Site, recorded, scraped

PHONE, DESK = (360, 780), (1180, 900)
PICTURES = os.environ.get("PICTURES")  # a directory: docs/pictures, to renew them
# The contrast of each text with what is behind it, as WCAG 2 counts it; 4.5 is its limit for small text.
CONTRAST = """(() => {
  const parts = colour => colour.match(/[\\d.]+/g).map(Number);
  const linear = c => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const light = colour => {
    const [r, g, b] = parts(colour).map(c => linear(c / 255));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
  };
  const behind = e => {
    while (e && parts(getComputedStyle(e).backgroundColor)[3] === 0) e = e.parentElement;
    return e ? getComputedStyle(e).backgroundColor : 'rgb(255, 255, 255)';
  };
  const speaks = e => [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  return [...document.querySelectorAll('body *')].filter(speaks).map(e => {
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
    return [a / b, e.textContent.trim()];
  });
})()"""
POINTS = """[...document.querySelectorAll('path.line')].map(
  path => path.getAttribute('d').split(/[ML]/).slice(1).map(point => point.split(' ')))"""
LOADED = """performance.getEntriesByType('resource').map(each => each.name)
  .filter(name => !name.endsWith('/favicon.ico'))"""


class Scene(NamedTuple):
    """A Prometheus and the address of its page."""

    prometheus: Prometheus
    url: str


def scene(home: Path, says: dict[tuple[str, str], str | None], ago: float) -> Iterator[Scene]:
    """Yield a page of two hosts with a day behind them; the canary of ml36 is critical since so many hours."""
    past = (
        chain(
            counters(host, shift),
            verdicts(
                host,
                lambda probe, hours, host=host: 2 * (host == "ml36" and probe == "canary" and hours < ago),
            ),
        )
        for host, shift in (("ml35", 0.0), ("ml36", 3.0))
    )
    firing = alert("ml36", "VllmCanaryFailed") if ago else iter(())
    remember(home / "data", chain(firing, chain.from_iterable(past)))
    with scraped(home, Site(says, growth=0), scrapes=3) as prometheus:
        yield Scene(prometheus, f"{prometheus.url}/consoles/status.html")


def hosts() -> dict[tuple[str, str], str | None]:
    """Return what two hosts say that are well."""
    return {(host, job): busy_day(job) for host in ("ml35", "ml36") for job in JOBS if job != "gpu"}


@pytest.fixture(scope="module")
def well(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    yield from scene(tmp_path_factory.mktemp("well"), hosts(), 0)


@pytest.fixture(scope="module")
def red(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """The vLLM of ml36 answers nobody, and its canary says so since two hours."""
    says = hosts() | {("ml36", "vllm"): None}
    says["ml36", "node"] = re.sub(r'(?m)^(vllm_probe_state\{probe="canary".*\}) 0', r"\1 2", busy_day("node"))
    yield from scene(tmp_path_factory.mktemp("red"), says, 2)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    if not PROGRAM:
        pytest.skip("no Chromium is installed: apt-get install chromium")
    with chromium(tmp_path_factory.mktemp("chromium")) as opened:
        yield opened


def text(tab: Tab, selector: str = "body") -> str:
    """Return the text of the first of such elements, as a person sees it."""
    return str(tab.ask(f"document.querySelector({selector!r}).innerText"))


def keep(tab: Tab, name: str) -> None:
    """Renew a picture of docs/, when asked to."""
    if PICTURES:
        tab.picture(Path(PICTURES) / f"{name}.png")


def readable(tab: Tab, width: int) -> None:
    """Nothing is wider than the window, and each text stands out."""
    assert tab.ask("document.documentElement.scrollWidth") <= width
    found = tab.ask(CONTRAST)
    assert len(found) > 40
    assert [each for each in found if each[0] < 4.5] == []


def test_all_is_well(tab: Tab, well: Scene) -> None:
    tab.show(well.url, *DESK)
    keep(tab, "status-wide")
    words = text(tab)
    assert text(tab, "h1") == "vLLM: 2 of 2 serving"
    assert tab.ask("document.title") == "2 of 2 serving · vLLM"
    for part in (
        "ml35 · vllm",
        "ml36 · vllm",
        "0.32.0-c6931529720a",
        "Time to first token",
        "Tokens written a second",
        "team",
        "research",
    ):
        assert part in words
    assert "Alerts" not in words
    assert tab.ask("document.querySelectorAll('rect.state0').length") == 2 * 2 * 48
    assert tab.ask("document.querySelectorAll('rect:not(.state0)').length") == 0
    readable(tab, DESK[0])


def test_figures_are_those_of_prometheus(tab: Tab, well: Scene) -> None:
    tab.show(well.url, *DESK)
    tokens = well.prometheus.query(
        'sum(increase(vllm_gateway_key_tokens_total{key="team",kind="prompt"}[1d]))'
    )
    shown = tab.ask(
        "[...document.querySelectorAll('tbody tr')].map(row => [...row.cells].map(cell => cell.innerText))"
    )
    assert [row[0] for row in shown] == ["team", "research"], "the largest first"
    millions = re.fullmatch(r"([\d.]+)M", shown[0][3])
    assert millions
    assert float(millions.group(1)) * 1e6 == pytest.approx(float(tokens[0]["value"][1]), rel=0.05)
    curves = tab.ask(POINTS)
    assert len(curves) == 4
    written = curves[1]
    noon = [each for each in written if each[0] == "24"]
    asked = 'sum(rate(vllm:generation_tokens_total{instance="ml35"}[30m] offset 11h30m))'
    assert float(noon[0][1]) == pytest.approx(float(well.prometheus.query(asked)[0]["value"][1]), rel=0.05)


def test_nothing_comes_from_elsewhere_and_no_script_runs(tab: Tab, well: Scene) -> None:
    tab.show(well.url, *DESK)
    assert tab.ask("document.scripts.length") == 0
    assert tab.ask(LOADED) == []


def test_on_a_phone(tab: Tab, well: Scene) -> None:
    tab.show(well.url, *PHONE)
    keep(tab, "status-phone")
    assert tab.ask("window.innerWidth") == PHONE[0]
    readable(tab, PHONE[0])


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_in_the_dark(tab: Tab, red: Scene, size: tuple[int, int]) -> None:
    tab.show(red.url, *size, dark=True)
    assert tab.ask("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 28)"
    readable(tab, size[0])


def test_something_is_wrong(tab: Tab, red: Scene) -> None:
    tab.show(red.url, *DESK)
    keep(tab, "status-red")
    assert text(tab, "h1") == "vLLM: 1 of 2 serving"
    assert text(tab, "article").splitlines()[:2] == ["ml36 · vllm", "not serving"], "the worst first"
    assert text(tab, ".alerts").split() == ["VllmCanaryFailed", "ml36", "vllm", "critical"]
    assert tab.ask("document.querySelectorAll('rect.state2').length") in (4, 5), "two hours"
    readable(tab, DESK[0])


def test_a_canary_that_fell_silent(tab: Tab, tmp_path: Path) -> None:
    """Its old verdict says nothing about now."""
    says = {
        ("ml35", "node"): re.sub(
            r"(vllm_probe_last_run_timestamp_seconds\{probe=\"canary\".*\}) .*", r"\1 1e9", recorded("node")
        )
    }
    with scraped(tmp_path, Site(says), scrapes=2) as prometheus:
        tab.show(f"{prometheus.url}/consoles/status.html", *DESK)
        assert text(tab, "h1") == "vLLM: 0 of 1 serving"
        assert "unknown" in text(tab, "article")
        assert "No requests in the last 24 hours." in text(tab, "article")


def test_a_pause_is_no_fault(tab: Tab, tmp_path: Path) -> None:
    says = hosts()
    says["ml36", "node"] = recorded("node") + 'vllm_probe_hands_off{probe="canary",service="vllm"} 1\n'
    with scraped(tmp_path, Site(says), scrapes=2) as prometheus:
        tab.show(f"{prometheus.url}/consoles/status.html", *PHONE)
        assert text(tab, "h1") == "vLLM: 1 of 2 serving"
        assert tab.ask("document.querySelector('h1').className") == "word state1"
        assert tab.ask(
            "[...document.querySelectorAll('article .word')].map(word => word.innerText).sort()"
        ) == ["paused", "serving"]
        readable(tab, PHONE[0])


def test_before_anything_is_scraped(tab: Tab, tmp_path: Path) -> None:
    with scraped(tmp_path, Site({("ml35", "gpu"): recorded("gpu")}), scrapes=2) as prometheus:
        page = requests.get(f"{prometheus.url}/consoles/status.html", timeout=20)
        assert page.status_code == 200, page.text
        tab.show(page.url, *PHONE)
        assert text(tab, "h1") == "No server is known"
        assert tab.ask("document.documentElement.scrollWidth") <= PHONE[0]
