"""How a gateway is: whether it answers, whose requests wait, and how long its certificate holds."""

import ssl
import time

from python_checks.api.http import Reply
from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import say
from python_checks.gateway import certificates

ALIVE = "/alive"  # of its status port: service -> servers that may be given requests
DAYS = 21  # of a certificate, below which it should have been renewed
DAY = 86400.0  # seconds
LOG = say("see the gateway's log and systemctl status gateway")


def rotation(reply: Reply) -> dict[str, int]:
    """Return the servers of each service that may be given requests, as ALIVE tells.

    Raises:
        CheckError: the gateway does not say.
    """
    servers = reply.data if reply.status == 200 and isinstance(reply.data, dict) else {}
    found = {str(name): number for name, number in servers.items() if isinstance(number, int)}
    if not found:
        raise CheckError(Fault(say("the gateway's status page says {status}", status=reply.status), LOG))
    return found


def waiting(servers: dict[str, int]) -> list[Fault]:
    """Warn of services whose requests wait: a restart is under way, or it is down."""
    remedy = say("while it restarts, that is meant; else start it, and see its systemctl status")
    return [
        Fault(say("requests for {service} wait: it is drained or down", service=name), remedy, State.WARNING)
        for name, number in servers.items()
        if number == 0
    ]


def certificate_left(place: str, timeout: float) -> float:
    """Return for how many more seconds the certificate is valid that is served at HOST:PORT; negative where it has ended.

    Raises:
        CheckError: there is none, or what it says cannot be read.
    """
    host, _, port = place.rpartition(":")
    try:
        pem = ssl.get_server_certificate((host.strip("[]"), int(port)), timeout=timeout)
    except (OSError, ValueError) as error:
        raise CheckError(Fault(say("no TLS at {place}: {error}", place=place, error=error), LOG)) from error
    return certificates.end(pem) - time.time()


def certificate(left: float) -> list[Fault]:
    """Judge the seconds that are left."""
    remedy = say("renew it, then deploy.yml; a self-signed one: -e gateway_certificate_renew=true")
    if left <= 0:
        return [Fault(say("the certificate has ended: clients refuse it"), remedy)]
    if left < DAYS * DAY:
        reason = say("the certificate ends in {days:.0f} days", days=left / DAY)
        return [Fault(reason, remedy, State.WARNING)]
    return []
