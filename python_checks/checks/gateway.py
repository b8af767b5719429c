"""The gateway from outside: strangers and other routes are refused, a key is served, no stream is bunched, its certificate holds."""

import argparse
from typing import Any

from python_checks.api import keys, stream
from python_checks.api.http import Reply, fetch
from python_checks.api.openai import PATH
from python_checks.core import options as opt
from python_checks.core.result import CheckError, Fault, Figure, Result, State, conclude
from python_checks.core.say import Said, say
from python_checks.gateway import health
from python_checks.gateway import options as own
from python_checks.gateway.health import LOG

NEEDS: tuple[str, ...] = ("requests",)

CHECK = "gateway"
TIMEOUT = 60.0
READS = 2.0  # events a read; a stream that nothing holds back has 1
REFUSED_ROUTE = "/metrics"  # vLLM has it, and nobody should reach it from outside


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of this check."""
    opt.add_service(parser)
    own.add_gateway(parser)
    opt.add_model(parser)
    opt.add_timeout(parser, TIMEOUT)


def run(options: argparse.Namespace) -> Result:
    """Ask as a stranger, as a client, and by TLS."""
    if not options.gateway_url:
        raise CheckError(Fault(say("which gateway?"), say("give --gateway-url"), State.UNKNOWN))
    faults: list[Fault] = []
    figures: list[Figure] = []
    servers = (
        health.rotation(fetch("GET", options.gateway_status + health.ALIVE, options.timeout))
        if options.gateway_status
        else {}
    )
    faults += health.waiting(servers)
    url, model = options.gateway_url, options.model
    if options.gateway_key_file:
        keys.use(url, None)
        faults += refused(
            fetch("GET", f"{url}/v1/models", options.timeout), 401, say("a request without a key")
        )
        keys.use(url, options.gateway_key_file)
    faults += refused(
        fetch("GET", url + REFUSED_ROUTE, options.timeout), 404, say("GET {route}", route=REFUSED_ROUTE)
    )
    # What is asked of a service that is away would wait, too.
    if servers.get("vllm", 1) and all(fault.state is State.WARNING for fault in faults):
        faults += served(fetch("GET", f"{url}/v1/models", options.timeout), model)
        faults += bunched(stream.read(url + PATH, request(model), options.timeout))
    if options.gateway_tls:
        left = health.certificate_left(options.gateway_tls, options.timeout)
        figures.append(Figure("certificate_left", round(left), "s", health.DAYS * health.DAY, 0))
        faults += health.certificate(left)
    words = say("strangers and other routes are refused, a key is served, no stream is bunched")
    result = conclude(CHECK, faults, words, {"servers": servers})
    return Result(
        CHECK, result.state, result.reason, result.remedy, evidence=result.evidence, figures=tuple(figures)
    )


def request(model: str) -> dict[str, Any]:
    """Return a request for a few tokens."""
    return {
        "model": model,
        "messages": [{"role": "user", "content": "Hello"}],
        "max_tokens": 16,
        "temperature": 0,
    }


def refused(reply: Reply, status: int, what: Said) -> list[Fault]:
    """Fault a reply that lets something through, or refuses it in a form that is not OpenAI's."""
    error = reply.data.get("error") if isinstance(reply.data, dict) else None
    if reply.status != status:
        return [
            Fault(
                say("{what} gets {status}, not {wanted}", what=what, status=reply.status, wanted=status),
                say("does the gateway, or something else, listen there? {see}", see=LOG),
            )
        ]
    if not isinstance(error, dict) or {"message", "type", "code"} - set(error):
        return [
            Fault(
                say("{what} is refused in a form that OpenAI's clients do not read", what=what),
                say("deploy.yml brings its configuration up to date"),
            )
        ]
    return []


def served(reply: Reply, model: str) -> list[Fault]:
    """Fault a reply to a good key that does not list the model."""
    data = reply.data.get("data") if isinstance(reply.data, dict) else None
    names = [each.get("id") for each in data if isinstance(each, dict)] if isinstance(data, list) else []
    if reply.status != 200:
        return [Fault(say("the probes' own key gets {status}", status=reply.status), LOG)]
    if model in names:
        return []
    return [
        Fault(
            say("{model} is not among {names}", model=model, names=names),
            say("is vllm_served_model_name right?"),
        )
    ]


def bunched(streamed: stream.Streamed) -> list[Fault]:
    """Fault a stream that is not whole, or whose events come together."""
    if streamed.status != 200 or not streamed.done:
        reason = say(
            "a stream through the gateway does not end well (status {status})", status=streamed.status
        )
        return [Fault(reason, LOG)]
    number = len(streamed.events) / max(1, streamed.reads)
    if number > READS:
        return [
            Fault(
                say("{number:.1f} events come in one read", number=number),
                say("is option http-no-delay in haproxy.cfg, and no other proxy before it?"),
                State.WARNING,
            )
        ]
    return []
