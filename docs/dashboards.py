"""Write the dashboards for Grafana, roles/monitoring/files/dashboards/*.json, from the tables below.

``python docs/dashboards.py`` writes them. With ``--check`` it only says what is out of date, and exits with 1.
Labels are those of the scrape list: instance is the host as the inventory names it, service the unit of a vLLM.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from grafana_foundation_sdk.builders import (
    common,
    dashboard,
    prometheus,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

OUTPUT = Path(__file__).resolve().parents[1] / "roles/monitoring/files/dashboards"
# No uid of a data source is known here: whoever opens the dashboard chooses one.
SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
WIDTH = 24  # columns of a Grafana dashboard
KINDS = {"lines": timeseries, "states": statetimeline, "number": stat, "table": table}
WORDS = {
    "0": ("ok", "green"),
    "1": ("warning", "yellow"),
    "2": ("critical", "red"),
    "3": ("unknown", "purple"),
}
WINDOW = "[$__rate_interval]"


class Panel(NamedTuple):
    """A panel: its queries are PromQL -> legend; `unit` is Grafana's name of one, `span` of 24 columns."""

    title: str
    queries: dict[str, str]
    unit: str = "short"
    about: str = ""
    kind: str = "lines"
    span: int = 8
    height: int = 7


class Page(NamedTuple):
    """A dashboard: rows are title -> panels."""

    name: str
    title: str
    about: str
    variables: dict[str, str]
    rows: dict[str, Sequence[Panel]]


def quantiles(metric: str, labels: str, by: str = "") -> dict[str, str]:
    """Return the median and the slowest twentieth and hundredth of a histogram of vLLM."""
    buckets = f"sum by (le{by}) (rate(vllm:{metric}_bucket{{{labels}}}{WINDOW}))"
    return {f"histogram_quantile({q}, {buckets})": f"{q * 100:g} %" for q in (0.5, 0.95, 0.99)}


def rate(metric: str, labels: str, by: str) -> str:
    """Return how fast a counter grows, a second."""
    return f"sum by ({by}) (rate({metric}{{{labels}}}{WINDOW}))"


def mean(metric: str, labels: str) -> str:
    """Return the mean of what a histogram of vLLM counted."""
    return f"sum(rate(vllm:{metric}_sum{{{labels}}}{WINDOW})) / sum(rate(vllm:{metric}_count{{{labels}}}{WINDOW}))"


FLEET = 'instance=~"$instance"'
EACH = "{{instance}} {{service}}"
BOTH = "instance, service"
FLEET_PAGE = Page(
    "fleet",
    "vLLM: all servers",
    "Which server is unwell, and how busy each one is",
    {"instance": "label_values(vllm_probe_state, instance)"},
    {
        "Well or not": [
            Panel("Servers that answer", {f'sum(up{{job="vllm",{FLEET}}})': ""}, kind="number", span=4),
            Panel("Servers in all", {f'count(up{{job="vllm",{FLEET}}})': ""}, kind="number", span=4),
            Panel("Alerts", {'count(ALERTS{alertstate="firing"}) or vector(0)': ""}, kind="number", span=4),
            Panel(
                "Verdict of the canary",
                {f'max by ({BOTH}) (vllm_probe_state{{probe="canary",{FLEET}}})': EACH},
                kind="states",
                span=12,
                about="A tiny chat every ten seconds. Unknown (3) means that the canary itself could not tell.",
            ),
        ],
        "Load": [
            Panel("Requests under way", {f"sum by ({BOTH}) (vllm:num_requests_running{{{FLEET}}})": EACH}),
            Panel("Requests that wait", {f"sum by ({BOTH}) (vllm:num_requests_waiting{{{FLEET}}})": EACH}),
            Panel("Tokens written a second", {rate("vllm:generation_tokens_total", FLEET, BOTH): EACH}),
            Panel(
                "First token, 95 %",
                {
                    f"histogram_quantile(0.95, {rate('vllm:time_to_first_token_seconds_bucket', FLEET, 'le, ' + BOTH)})": EACH
                },
                "s",
                "Nineteen of twenty requests get their first token sooner.",
            ),
            Panel(
                "KV cache in use",
                {f"max by ({BOTH}) (vllm:kv_cache_usage_perc{{{FLEET}}})": EACH},
                "percentunit",
            ),
            Panel(
                "Gateway: share of 5xx",
                {
                    f"{rate('haproxy_frontend_http_responses_total', FLEET + ',code=' + chr(34) + '5xx' + chr(34), 'instance, proxy')}"
                    f" / {rate('haproxy_frontend_http_responses_total', FLEET, 'instance, proxy')}": "{{instance}} {{proxy}}"
                },
                "percentunit",
            ),
        ],
        "What runs": [
            Panel(
                "Releases",
                {f'max by ({BOTH}, release) (vllm_probe_release_info{{textfile=~"canary.*",{FLEET}}})': ""},
                kind="table",
                span=12,
            ),
            Panel(
                "Disk space left",
                {
                    f'min by (instance, device) (node_filesystem_avail_bytes{{fstype!~"tmpfs|ramfs",{FLEET}}})': "{{instance}} {{device}}"
                },
                "bytes",
                span=12,
            ),
        ],
    },
)

HOST = 'instance="$instance"'
UNITS = 'name=~"(vllm.*|backend|gateway)[.]service"'
ONE = f'{HOST},service=~"$service"'
SERVER_PAGE = Page(
    "server",
    "vLLM: one server",
    "What one server does, and what happened to it",
    {
        "instance": "label_values(vllm_probe_state, instance)",
        "service": 'label_values(vllm_probe_state{instance="$instance"}, service)',
    },
    {
        "Verdicts": [
            Panel(
                "Probes",
                {f"max by (probe, service) (vllm_probe_state{{{ONE}}})": "{{probe}} of {{service}}"},
                kind="states",
                span=12,
            ),
            Panel(
                "The canary's chat",
                {f"max by (service) (vllm_probe_chat_seconds{{{ONE}}})": "{{service}}: time to the answer"},
                "s",
                span=6,
            ),
            Panel(
                "Strikes and restarts by the canary",
                {
                    f"max by (service) (vllm_probe_strikes{{{ONE}}})": "{{service}}: strikes",
                    f"max by (service) (vllm_probe_heals{{{ONE}}})": "{{service}}: restarts within an hour",
                },
                about="Three strikes and it restarts vLLM; after three restarts within an hour it gives up.",
                span=6,
            ),
        ],
        "Latency": [
            Panel("Time to first token", quantiles("time_to_first_token_seconds", ONE), "s"),
            Panel("Between two tokens", quantiles("inter_token_latency_seconds", ONE), "s"),
            Panel("Whole requests", quantiles("e2e_request_latency_seconds", ONE), "s"),
            Panel("In the queue", quantiles("request_queue_time_seconds", ONE), "s"),
            Panel(
                "Where the time goes, mean",
                {
                    mean("request_queue_time_seconds", ONE): "queue",
                    mean("request_prefill_time_seconds", ONE): "reading the prompt",
                    mean("request_decode_time_seconds", ONE): "writing",
                },
                "s",
            ),
            Panel(
                "Requests by their end",
                {rate("vllm:request_success_total", ONE, "finished_reason"): "{{finished_reason}}"},
                "reqps",
            ),
        ],
        "Load": [
            Panel(
                "Requests",
                {
                    f"sum(vllm:num_requests_running{{{ONE}}})": "under way",
                    f"sum by (reason) (vllm:num_requests_waiting_by_reason{{{ONE}}})": "waiting: {{reason}}",
                },
            ),
            Panel(
                "Tokens a second",
                {
                    f"sum(rate(vllm:prompt_tokens_total{{{ONE}}}{WINDOW}))": "read",
                    f"sum(rate(vllm:generation_tokens_total{{{ONE}}}{WINDOW}))": "written",
                },
            ),
            Panel(
                "KV cache",
                {
                    f"max(vllm:kv_cache_usage_perc{{{ONE}}})": "in use",
                    f"sum(rate(vllm:prefix_cache_hits_total{{{ONE}}}{WINDOW}))"
                    f" / sum(rate(vllm:prefix_cache_queries_total{{{ONE}}}{WINDOW}))": "prompt tokens found in it",
                },
                "percentunit",
                "A full cache alone is normal under load; with preemptions it is too small.",
            ),
            Panel(
                "Steps of the engine a second",
                {f"sum(rate(vllm:iteration_tokens_total_count{{{ONE}}}{WINDOW}))": "steps"},
            ),
            Panel(
                "Preemptions a second",
                {f"sum(rate(vllm:num_preemptions_total{{{ONE}}}{WINDOW}))": "requests put back"},
            ),
            Panel(
                "Starts and restarts",
                {
                    f"sum by (service) (changes(process_start_time_seconds{{{ONE}}}{WINDOW}))": "{{service}} started",
                    f"sum by (name) (increase(node_systemd_service_restart_total{{{HOST},{UNITS}}}{WINDOW}))": (
                        "{{name}} restarted by systemd"
                    ),
                },
            ),
        ],
        "GPUs, where dcgm-exporter runs": [
            Panel(
                "At work",
                {f"avg by (gpu) (DCGM_FI_DEV_GPU_UTIL{{{HOST}}}) / 100": "GPU {{gpu}}"},
                "percentunit",
                span=6,
            ),
            Panel(
                "Memory in use",
                {
                    f"max by (gpu) (DCGM_FI_DEV_FB_USED{{{HOST}}})"
                    f" / (max by (gpu) (DCGM_FI_DEV_FB_USED{{{HOST}}}) + max by (gpu) (DCGM_FI_DEV_FB_FREE{{{HOST}}}))": "GPU {{gpu}}"
                },
                "percentunit",
                span=6,
            ),
            Panel(
                "Temperature",
                {f"max by (gpu) (DCGM_FI_DEV_GPU_TEMP{{{HOST}}})": "GPU {{gpu}}"},
                "celsius",
                span=6,
            ),
            Panel(
                "Power", {f"max by (gpu) (DCGM_FI_DEV_POWER_USAGE{{{HOST}}})": "GPU {{gpu}}"}, "watt", span=6
            ),
        ],
        "Host": [
            Panel(
                "Processors at work",
                {f'1 - avg(rate(node_cpu_seconds_total{{mode="idle",{HOST}}}{WINDOW}))': "busy"},
                "percentunit",
            ),
            Panel("Memory left", {f"max(node_memory_MemAvailable_bytes{{{HOST}}})": "available"}, "bytes"),
            Panel(
                "Disk space left",
                {
                    f'min by (device) (node_filesystem_avail_bytes{{fstype!~"tmpfs|ramfs",{HOST}}})': "{{device}}"
                },
                "bytes",
            ),
        ],
    },
)

KEYS = f'{FLEET},key=~"$key"'
IN_RANGE = "[$__range]"
KEYS_PAGE = Page(
    "keys",
    "vLLM: keys and usage",
    "Who uses how much, as the gateway counts it",
    {
        "instance": "label_values(vllm_gateway_key_requests_total, instance)",
        "key": "label_values(vllm_gateway_key_requests_total, key)",
    },
    {
        "Keys": [
            Panel(
                "Tokens in this time",
                {
                    f"sum by (key, service, kind) (increase(vllm_gateway_key_tokens_total{{{KEYS}}}{IN_RANGE}))": ""
                },
                kind="table",
                span=12,
                about="As vLLM counted them. Prometheus estimates between scrapes; ansible/usage.yml gives a month to the token.",
            ),
            Panel(
                "Requests in this time",
                {
                    f"sum by (key, service, model) (increase(vllm_gateway_key_requests_total{{{KEYS}}}{IN_RANGE}))": ""
                },
                kind="table",
                span=12,
            ),
            Panel("Tokens a second", {rate("vllm_gateway_key_tokens_total", KEYS, "key"): "{{key}}"}),
            Panel(
                "Requests a second",
                {rate("vllm_gateway_key_requests_total", KEYS, "key"): "{{key}}"},
                "reqps",
            ),
            Panel(
                "Refused or failed",
                {
                    f"{rate('vllm_gateway_key_errors_total', KEYS, 'key')} / {rate('vllm_gateway_key_requests_total', KEYS, 'key')}": (
                        "{{key}}"
                    )
                },
                "percentunit",
                "Share of the requests of a key: limits of the key, faults of the request, faults of the server.",
            ),
        ],
        "Gateway": [
            Panel(
                "Replies a second",
                {rate("haproxy_frontend_http_responses_total", FLEET, "proxy, code"): "{{proxy}} {{code}}"},
                "reqps",
            ),
            Panel(
                "Refused by the gateway itself",
                {rate("haproxy_frontend_intercepted_requests_total", FLEET, "proxy"): "{{proxy}}"},
                "reqps",
                "No key, wrong key, no such route, over a limit. These reached no server.",
            ),
            Panel(
                "Connections",
                {
                    f"sum by (instance, proxy) (haproxy_frontend_current_sessions{{{FLEET}}})": "{{instance}} {{proxy}}"
                },
            ),
            Panel(
                "Server behind it in the rotation",
                {
                    f'max by (instance, proxy) (haproxy_server_status{{state="UP",{FLEET}}})': "{{instance}} {{proxy}}"
                },
                about="0 while it restarts: requests then wait in the gateway.",
            ),
            Panel(
                "Bytes a second",
                {rate("haproxy_frontend_bytes_out_total", FLEET, "proxy"): "{{proxy}}"},
                "Bps",
            ),
            Panel(
                "Left by the client",
                {rate("haproxy_backend_client_aborts_total", FLEET, "proxy"): "{{proxy}}"},
                "reqps",
            ),
        ],
    },
)
PAGES = (FLEET_PAGE, SERVER_PAGE, KEYS_PAGE)
# The canary writes which releases are activated; one that was not there five minutes ago is a deploy or a rollback.
RELEASED = 'max by (instance, service, release) (vllm_probe_release_info{{textfile=~"canary.*",{labels}}})'


def built(panel: Panel) -> Any:
    """Return the builder of a panel."""
    builder = KINDS[panel.kind].Panel().title(panel.title).datasource(SOURCE)
    builder = builder.unit(panel.unit).span(panel.span).height(panel.height)
    if panel.about:
        builder = builder.description(panel.about)
    for number, (expression, legend) in enumerate(panel.queries.items()):
        query = prometheus.Dataquery().expr(expression).ref_id(chr(ord("A") + number)).datasource(SOURCE)
        query = query.legend_format(legend) if legend else query
        at_once = panel.kind in ("number", "table")
        query = query.instant() if at_once else query.range()
        builder = builder.with_target(query.format(PromQueryFormat.TABLE) if panel.kind == "table" else query)
    if panel.kind == "states":
        results = {
            value: models.ValueMappingResult(text=text, color=colour)
            for value, (text, colour) in WORDS.items()
        }
        builder = builder.mappings([models.ValueMap(options=results)])
    if panel.kind == "lines":
        shown = common.VizLegendOptions().show_legend(True).display_mode(common_models.LegendDisplayMode.LIST)
        builder = (
            builder.min(0).fill_opacity(10).legend(shown.placement(common_models.LegendPlacement.BOTTOM))
        )
    return builder


def document(page: Page) -> str:
    """Return the JSON of a dashboard."""
    builder = dashboard.Dashboard(page.title).uid(f"vllm-deploy-{page.name}").description(page.about)
    builder = builder.tags(["vllm-deploy"]).time("now-6h", "now").refresh("30s").readonly()
    builder = builder.with_variable(
        dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")
    )
    for name, query in page.variables.items():
        several = not (page is SERVER_PAGE and name == "instance")
        variable = (
            dashboard.QueryVariable(name).query(query).datasource(SOURCE).multi(several).include_all(several)
        )
        variable = variable.refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(
            models.VariableSort.ALPHABETICAL_ASC
        )
        builder = builder.with_variable(variable.all_value(".*") if several else variable)
    now = RELEASED.format(labels=HOST if page is SERVER_PAGE else FLEET)
    marks = dashboard.AnnotationQuery().name("Releases").datasource(SOURCE).enable(True).icon_color("blue")
    builder = builder.annotation(marks.expr(f"{now} unless {now.replace('}', '} offset 5m')}"))
    for title, panels in page.rows.items():
        builder = builder.with_row(dashboard.Row(title))
        for panel in panels:
            builder = builder.with_panel(built(panel))
    made = json.loads(json.dumps(builder.build(), cls=JSONEncoder))
    # Fields of Prometheus' annotations that the SDK does not know.
    made["annotations"]["list"][0] |= {
        "titleFormat": "{{service}} {{release}}",
        "textFormat": "{{instance}}",
        "step": "60s",
    }
    return json.dumps(made, indent=1, sort_keys=True) + "\n"


def main(arguments: list[str]) -> int:
    """Write or check, and return the exit code."""
    stale = False
    for page in PAGES:
        path, text = OUTPUT / f"{page.name}.json", document(page)
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale = True
        if "--check" in arguments:
            print(f"{path} is out of date: run python docs/dashboards.py, and commit it")
        else:
            path.write_text(text, encoding="utf-8")
    return int(stale and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
