"""What a variable of the roles may hold, whatever the others are: one rule for each kind of name."""

from __future__ import annotations

import ipaddress
import re
import ssl
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator


class Rule(NamedTuple):
    """What the variables of a name hold: ``wanted`` says it to a person."""

    fits: Callable[[Any], Any]
    wanted: str


def number(low: float, high: float = float("inf"), kind: str = r"-?[0-9]+") -> Rule:
    """Return the rule of a number, written as the command that gets it reads it."""
    span = f"from {low} to {high}" if high < float("inf") else f"from {low} on"
    return Rule(
        lambda value: (
            not isinstance(value, bool) and re.fullmatch(kind, str(value)) and low <= float(value) <= high
        ),
        f"a number {span}",
    )


def text(pattern: str, wanted: str) -> Rule:
    """Return the rule of a text that matches as a whole."""
    return Rule(lambda value: re.fullmatch(pattern, str(value)), wanted)


def each_of(pattern: str, wanted: str) -> Rule:
    """Return the rule of a list of texts, each of which matches as a whole."""
    return Rule(lambda value: all(re.fullmatch(pattern, str(each), re.ASCII) for each in value), wanted)


def is_url(value: str) -> bool:
    """Tell whether a value is a base URL of http(s)."""
    try:
        parts = urlsplit(value)
        return bool(
            parts.scheme in ("http", "https")
            and parts.hostname
            and parts.port != 0
            and not re.search(r"\s", value)
        )
    except ValueError:
        return False


def is_address(value: str) -> bool:
    """Tell whether a value is an IP address or the name of a host."""
    try:
        return bool(ipaddress.ip_address(value))
    except ValueError:
        return bool(re.fullmatch(r"(?!-)[A-Za-z0-9._-]*[A-Za-z][A-Za-z0-9._-]*", value))


def is_environment(value: dict[Any, Any]) -> bool:
    """Tell whether names and values are those of environment variables; YAML makes a bool of an unquoted ``false``."""
    names = all(re.fullmatch(r"[A-Za-z_]\w*", str(name), re.ASCII) for name in value)
    return names and all(
        isinstance(each, str | int | float) and not isinstance(each, bool) for each in value.values()
    )


def is_proxies(value: dict[Any, Any]) -> bool:
    """Tell whether a value holds what programs read about a proxy."""
    return all(
        is_url(str(each))
        if name in ("http_proxy", "https_proxy")
        else name == "no_proxy" and isinstance(each, str)
        for name, each in value.items()
    )


def has_certificates(value: str) -> bool:
    """Tell whether a value is the absolute path of a file with certificates, here on the controller."""
    try:
        return value.startswith("/") and bool(ssl.create_default_context(cafile=value).get_ca_certs())
    except (OSError, ssl.SSLError):
        return False


DAY = 86_400  # seconds
# Sockets below host_directory/tmp have names of up to 40 characters, and the kernel takes paths of 107.
LONGEST = 66
# What no line of a unit, a log or a terminal may hold: controls (Cc), separators that some take for the end of a line, and what turns the
# direction of a text. An environment's values may have lines: its quoting keeps them.
CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
LINES = dict.fromkeys(map(ord, "\n\t"))
PASSWORD = re.compile(r"://[^/\s]*@")  # of a URL
GPU = r"(?:\d+|(?:GPU|MIG)-[\w-]+(?:/\d+)*)"
PORT = number(1, 65535)
# The first pattern that is a variable's whole name counts.
RULES = {
    r"\w+_port": PORT,
    r"vllm_gpu_memory_utilization": number(0.01, 1, r"[0-9]*\.?[0-9]+"),
    r"\w+_gib": number(0),
    r"\w+_percent": number(0, 999_999),
    r"vllm_shutdown_timeout": number(0, DAY),
    r"\w+_seconds": number(1, DAY),
    r"\w+_(?:len|tokens)|vllm_tensor_parallel_size": number(1),
    r"gateway_hold_requests|gateway_key_\w+": number(0),
    r"gateway_(?:body_mib|connections)": number(1),
    r"gateway_plain_ports": Rule(
        lambda value: set(value) == {"vllm", "backend"} and all(map(PORT.fits, value.values())),
        "a port for vllm and one for backend",
    ),
    r"gateway_\w+_routes": each_of(
        r"[A-Z]+ /[\w.~:@%=,*/-]*", 'routes in quotes, each a method and a path, as "GET /v1/models"'
    ),
    r"gateway_cors_origins": each_of(
        r"https?://(?:[\w.-]+|\[[\da-f:]+\])(?::\d+)?", "origins without a path, as https://chat.example.com"
    ),
    r"gateway_self_signed": Rule(
        lambda value: all(is_address(str(each)) for each in value), "names and addresses of the host"
    ),
    r"monitoring_retention": text(r"(?:\d+(?:ms|[smhdwy]))+", "a time as Prometheus takes it, such as 30d"),
    r"monitoring_retention_size": text(r"\d+[KMGTPE]?B", "a size as Prometheus takes it, such as 10GB"),
    r"monitoring_webhooks": Rule(
        lambda value: all(is_url(str(each)) for each in value), "URLs such as https://chat.example.com/hook"
    ),
    r"vllm_(?:stop|start)_at": text(
        r"[\w*,./:~ -]*", "a time as systemd's OnCalendar takes it, as '*-*-* 23:00'"
    ),
    r"\w+_time": text(r"(?:[01]\d|2[0-3]):[0-5]\d", 'hours and minutes in quotes, as "03:30"'),
    r"\w+_host": Rule(is_address, "an address of the host, such as 127.0.0.1 or 0.0.0.0"),
    r"\w+_user": text(r"[A-Za-z_][\w.@-]*\$?", "the name of a user"),
    r"host_proxy_environment": Rule(
        is_proxies,
        "http_proxy, https_proxy and no_proxy; the first two are URLs as http://USER:PASSWORD@HOST:PORT",
    ),
    r"host_ca_file": Rule(
        lambda value: value == "" or has_certificates(value),
        "the absolute path of a PEM file with certificates on the controller",
    ),
    r"\w+_environment": Rule(
        is_environment, "names of environment variables, each with a text in quotes or a number"
    ),
    r"vllm_cuda_visible_devices": text(
        rf"{GPU}(?:,{GPU})*|", 'GPUs by number or UUID with commas between, as "0,1"'
    ),
    r"vllm_served_model_name": text(r"[^-@\s].*", "a name that begins with neither - nor @"),
    r"backend_vllm_url": Rule(
        lambda value: value == "" or is_url(value), "a URL such as http://127.0.0.1:8000/v1"
    ),
    r"backend_app": text(r"[\w.]+:[\w.]+", "module:attribute, as src.api.main:app"),
    r"backend_health_path": text(r"/\S*", "a path such as /health"),
    r"host_directory": Rule(
        lambda value: re.fullmatch(r"(?:/[\w.+@=-]+)+", str(value)) and len(str(value).encode()) <= LONGEST,
        f"an absolute path of letters, digits and . + @ = _ - between slashes, {LONGEST} bytes at most",
    ),
    r"vllm_model|\w+_log_file": text("/.+", "an absolute path"),
    r"vllm_model_source": text(
        r"https?://[^\s@?#]+|/.+|",
        "the URL of a directory, without a password or a query, or an absolute path",
    ),
    r"vllm_python|backend_directory": text("/.+|", "an absolute path"),
    r"backend_writable": Rule(
        lambda value: all(str(each).startswith("/") for each in value), "a list of absolute paths"
    ),
}


def own_fault(name: str, value: Any, option: dict[str, Any]) -> str:
    """Return what is wrong with the value of a variable, whatever the others are; a secret one is not shown."""
    secret = option.get("no_log") or PASSWORD.search(str(value))
    shown = "not what it takes" if secret else repr(value)
    wrong = ArgumentSpecValidator({name: option | {"required": False}}).validate({name: value}).error_messages
    if wrong and not option.get("no_log"):
        return str(wrong[0])
    kind = {"list": list, "dict": dict}.get(option["type"], object)  # Ansible takes "a,b" and "a=b" for them
    if wrong or not isinstance(value, kind):
        return f"{name} is {shown}; give a {option['type']}."
    rule = next((rule for pattern, rule in RULES.items() if re.fullmatch(pattern, name)), None)
    if rule and not rule.fits(str(value) if option["type"] in ("str", "path") else value):
        return f"{name} is {shown}; give {rule.wanted}."
    if CONTROLS.search(flat(value).translate(LINES if isinstance(value, dict) else {})):
        return f"{name} is {shown}; give a text without control characters."
    return ""


def flat(value: Any) -> str:
    """Return all the text of a value."""
    if isinstance(value, dict):
        value = [*value, *value.values()]
    return "".join(map(flat, value)) if isinstance(value, list | tuple) else str(value)
