"""A gateway that answers, as lines of a screen: whose requests it leads on or keeps, and its certificate."""

from collections.abc import Mapping, Sequence

from python_checks.api.http import fetch
from python_checks.core.result import CheckError, Fault, Line, worst
from python_checks.core.say import Said, joined, say
from python_checks.gateway import health


def lines(options: Mapping[str, str], timeout: float) -> list[Line]:
    """Return the lines; none for what is no gateway.

    Args:
        options: Those of its row.
        timeout: Seconds for each question.
    """
    found, status, tls = [], options.get("gateway-status"), options.get("gateway-tls")
    if status:
        found.append(_leads_to(status, timeout))
    if tls:
        found.append(_certificate(tls, timeout))
    return found


def _leads_to(status: str, timeout: float) -> Line:
    label = say("  leads to")
    try:
        servers = health.rotation(fetch("GET", status + health.ALIVE, timeout))
    except CheckError as error:
        return _line(label, [error.fault], "")
    return _line(label, health.waiting(servers), ", ".join(servers))


def _certificate(place: str, timeout: float) -> Line:
    label = say("  certificate")
    try:
        left = health.certificate_left(place, timeout)
    except CheckError as error:
        return _line(label, [error.fault], "")
    return _line(label, health.certificate(left), say("valid for {days:.0f} days", days=left / health.DAY))


def _line(label: Said, faults: Sequence[Fault], well: str) -> Line:
    if not faults:
        return Line(label, well)
    words = joined("; ", (fault.reason for fault in faults))
    return Line(label, words, worst([fault.state for fault in faults]))
