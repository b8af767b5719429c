"""The gateway before a service, as figures of its canary: whether it answers, holds requests, and how long its certificate is valid."""

from python_checks.api.http import Light
from python_checks.core.result import CheckError, Figure
from python_checks.gateway import health
from python_checks.service import registry
from python_checks.service.registry import Row

LOOK = 2.0  # seconds for each of two questions: three looks at a service are to fit into 90 s with them


def figures(row: Row) -> tuple[Figure, ...]:
    """Return the figures; none for a service that no gateway leads to. They are no part of the verdict on the service."""
    gateways = (other for other in registry.siblings(row.name) if row.name in _leads_to(other))
    gateway = next(gateways, None)
    if gateway is None:
        return ()
    answers, found = 1, list[Figure]()
    try:
        status = gateway.options["gateway-status"]
        servers = health.rotation(Light("GET", status + health.ALIVE, None, LOOK).result())
        found.append(Figure("gateway_holds", int(servers.get(row.name) == 0)))
        if tls := gateway.options.get("gateway-tls"):
            left = round(health.certificate_left(tls, LOOK))
            found.append(Figure("certificate_left", left, "s", health.DAYS * health.DAY, 0))
    except CheckError:
        answers = 0
    return (Figure("gateway_answers", answers), *found)


def _leads_to(row: Row) -> list[str]:
    return row.options.get("leads-to", "").split()
