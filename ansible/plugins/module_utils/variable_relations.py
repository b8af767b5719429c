"""How variables of the roles contradict each other on one host."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ansible.parsing.dataloader import DataLoader

Values = dict[str, Any]
LOCAL = re.compile(r"localhost|127\..*|::1")
WILDCARDS = ("0.0.0.0", "::")
# Directories of host_directory that are the roles' alone.
MADE = (
    "bin",
    "venvs",
    "checks",
    "services",
    "releases",
    "cache",
    "tmp",
    "watch",
    "metrics",
    "supervisor",
    "bundle",
    "python",
    "vllm",
    "gateway",
    "logs",
)
# Of the backend, and their names in its environment.
FOLLOWERS = {"backend_vllm_url": "VLLM_BASE_URL", "backend_model": "MODEL_NAME"}


def rendered_flags(roles: Path) -> dict[str, str]:
    """Return each flag of the command that roles/vllm renders, and the variable that sets it."""
    variables = DataLoader().load_from_file(str(roles / "vllm/vars/main.yml"))
    command = f"{variables['__vllm_command']} {variables['__vllm_arguments']}"
    flags: dict[str, str] = {}
    for flag, variable in re.findall(r"'(--[\w-]+)'|(?<!\w)(vllm_\w+)", command):
        flags = {known: name or variable for known, name in flags.items()} | ({flag: ""} if flag else {})
    return flags


def repeated(extra: list[str], flags: dict[str, str]) -> Iterator[str]:
    """Yield a line for each word that gives vLLM a flag of a variable; argparse takes a flag's beginning, too."""
    for word in extra:
        flag = re.sub("^--no-", "--", str(word).partition("=")[0].replace("_", "-"))
        names = [
            name
            for known, name in flags.items()
            if known == flag or (flag[:2] == "--" and flag[3:] and known.startswith(flag))
        ]
        if names:
            yield f"vllm_extra_args has {word}, a flag that {names[0]} sets. Remove it there, and set {names[0]}."


def asked_for(values: Values, name: str) -> tuple[str, str]:
    """Return what the inventory says of where vLLM is, or of the model to ask for, and by which variable; the environment wins."""
    told = FOLLOWERS[name]
    if values["backend_environment"].get(told):
        return str(values["backend_environment"][told]), f"{told} of backend_environment"
    return "" if values["backend_source"] == "existing" else values[name], name


def of_one_host(values: Values, behind: bool) -> Iterator[str]:
    """Yield how the backend contradicts the vLLM of its own host; ``behind``: both are behind a gateway, which it asks."""
    port, host, served = int(values["vllm_port"]), values["vllm_host"], values["vllm_served_model_name"]
    other = values["backend_host"]
    if port == int(values["backend_port"]) and (host == other or {host, other} & set(WILDCARDS)):
        yield f"vllm_port and backend_port are both {port}, on one host. Give one of them another."
    url, where = asked_for(values, "backend_vllm_url")
    model, which = asked_for(values, "backend_model")
    parts = urlsplit(url)
    here = not url or parts.hostname == host or bool(LOCAL.fullmatch(parts.hostname or ""))
    doors = (
        {int(values["gateway_vllm_port"]), int(values["gateway_plain_ports"]["vllm"])} if behind else set()
    )
    if url and here and parts.port not in doors:
        bound = LOCAL.fullmatch(host) or host in WILDCARDS or host == parts.hostname
        if not bound or (parts.scheme, parts.port or 80, parts.path.rstrip("/")) != ("http", port, "/v1"):
            yield (
                f"{where} is {url}, and vLLM will listen on {host}:{port} of the same host (vllm_host, vllm_port)."
                " Leave it out, and it follows them."
            )
    adapters = any(
        str(word).startswith(("--lora-modules", "--lora_modules")) for word in values["vllm_extra_args"]
    )
    if here and model and model != served and not adapters:
        yield (
            f"{which} is {model}, and vLLM on the same host will serve {served} (vllm_served_model_name)."
            " Leave it out, and it follows that."
        )


def of_two_hosts(values: Values, served: set[str]) -> Iterator[str]:
    """Yield what a backend cannot know of the vLLM of another host; ``served`` are the models of the inventory."""
    if values["backend_source"] == "existing":  # its own settings tell
        return
    if not asked_for(values, "backend_vllm_url")[0]:
        yield (
            "backend_vllm_url is not set, and this host runs no vLLM. Set it to where the backend reaches one,"
            " as http://HOST:8000/v1."
        )
    if not asked_for(values, "backend_model")[0] and len(served) != 1:
        models = ", ".join(sorted(served)) or "no model"
        yield f"backend_model is not set, and the inventory serves {models}. Set it to the one to ask for."


def misplaced(values: Values) -> Iterator[str]:
    """Yield what of the user's lies where a deploy makes things, and a removal takes them away."""
    for name in ("vllm_model", "backend_directory"):
        place = Path(values.get(name) or "/")
        for made in (Path(values.get("host_directory") or "/none", each) for each in MADE):
            if made == place or made in place.parents:
                yield f"{name} is {place}, and {made} is made by deploys and removed with them. Put it elsewhere, also beside that."


def contradictions(values: Values, groups: list[str], served: set[str]) -> Iterator[str]:
    """Yield how the variables of a host contradict each other."""
    devices = [each for each in str(values["vllm_cuda_visible_devices"]).split(",") if each]
    if (
        "vllm" in groups
        and values["vllm_lock"] != "vllm-cpu"
        and int(values["vllm_tensor_parallel_size"]) > len(devices)
    ):
        yield (
            f"vllm_tensor_parallel_size is {values['vllm_tensor_parallel_size']}, and vllm_cuda_visible_devices"
            f" ({','.join(devices) or 'empty'}) has {len(devices)}. Correct one of them."
        )
    if "vllm" in groups and "CUDA_VISIBLE_DEVICES" in values["vllm_environment"]:
        yield "vllm_environment has CUDA_VISIBLE_DEVICES, which vllm_cuda_visible_devices sets. Set that."
    yield from misplaced(values)
    if "backend" in groups:
        yield from (
            of_one_host(values, "gateway" in groups) if "vllm" in groups else of_two_hosts(values, served)
        )
