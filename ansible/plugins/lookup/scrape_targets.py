"""Lookup ``scrape_targets``: what Prometheus asks for metrics, in the form of its ``file_sd``, and what it cannot reach."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from ansible.plugins.loader import lookup_loader

from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: scrape_targets
author: vllm-deploy
short_description: Targets of Prometheus, of all hosts of the inventory
description: >-
  It reads the inventory and not what a play found, so that a deploy with C(--limit) makes the same list.
  Each target has the labels C(job) (vllm, gateway or node), C(instance), the name of the host in the inventory, and C(service), the unit.
options:
  monitor:
    description: The host that Prometheus runs on. It reaches what listens on its own loopback; others' it does not.
    type: str
    required: true
"""
LOCAL = re.compile(r"127\..*|localhost|::1")
WILDCARDS = ("0.0.0.0", "::")
GROUPS = ("vllm", "backend", "gateway", "monitoring")
Found = dict[str, list[Any]]


class Target(NamedTuple):
    """What a host serves metrics by: the address that it binds, its port, and the labels."""

    bound: str
    port: int
    labels: dict[str, str]


def place(target: Target, address: str, here: bool) -> str:
    """Return where Prometheus finds a target of a host with that ``address``, empty where it reaches none."""
    if LOCAL.fullmatch(target.bound):
        host = target.bound if here else ""
    elif target.bound in WILDCARDS:
        host = "127.0.0.1" if here else address
    else:
        host = target.bound
    return host and f"{f'[{host}]' if ':' in host else host}:{target.port}"


class LookupModule(LookupBase):
    """Ansible's entry to ``scrape_targets``."""

    def run(self, terms: list[str], variables: dict[str, Any] | None = None, **kwargs: Any) -> list[Found]:
        """Return one mapping: ``reached``, the list for ``file_sd``, and ``missed``, a line for each target that is out of reach."""
        known = variables or {}
        reached: list[dict[str, Any]] = []
        missed: list[str] = []
        names = dict.fromkeys(host for group in GROUPS for host in known["groups"].get(group, []))
        for name in names:
            of = known["hostvars"][name]
            address = str(of.get("ansible_host", name))
            for target in self.targets(name, of, known["groups"]):
                labels = {"job": target.labels["job"], "instance": name} | target.labels
                if where := place(target, address, name == kwargs["monitor"]):
                    reached.append({"targets": [where], "labels": labels})
                else:
                    what = target.labels.get("service", target.labels["job"])
                    missed.append(f"{what} of {name}, which listens at {target.bound}:{target.port} alone")
        return [{"reached": reached, "missed": missed}]

    def targets(self, name: str, of: Any, groups: dict[str, list[str]]) -> Iterator[Target]:
        """Yield what a host has, by its variables and the defaults of the roles."""
        settings = lookup_loader.get("setting", loader=self._loader, templar=self._templar)

        def value(variable: str) -> Any:
            return settings.run([variable], of=of)[0]

        if name in groups.get("vllm", []):
            rows = [{"vllm_name": "vllm", "vllm_port": value("vllm_port")}, *value("vllm_extra_instances")]
            for row in rows:
                bound = str(row.get("vllm_host", value("vllm_host")))
                yield Target(bound, int(row["vllm_port"]), {"job": "vllm", "service": str(row["vllm_name"])})
        if name in groups.get("gateway", []):
            yield Target(
                "127.0.0.1", int(value("gateway_status_port")), {"job": "gateway", "service": "gateway"}
            )
        yield Target(
            str(value("monitoring_exporter_host")), int(value("monitoring_exporter_port")), {"job": "node"}
        )
