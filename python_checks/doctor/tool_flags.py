"""Why tool calls do not work, as far as the command and the version of vLLM tell (the guide's 6.1), also when it is down."""

import re
from collections.abc import Iterator, Mapping, Sequence

from python_checks.config.refusals import given
from python_checks.core.finding import Finding
from python_checks.core.result import State
from python_checks.core.say import joined, say

SYMPTOM = say(
    "tool calls do not work: tool_calls is null, and what was meant as a call is lost or in content"
)
GPT_OSS = "gpt_oss"
PARSER = "openai"  # gpt-oss's
AUTO, NAME = "--enable-auto-tool-choice", "--tool-call-parser"
DEPLOY = say("inventory: vllm_tool_call_parser: openai; then deploy: ansible-playbook deploy.yml")
VOCABULARY = "TIKTOKEN_ENCODINGS_BASE"
UPGRADE = say("deploy the vLLM of our lock: ansible-playbook deploy.yml")
# vLLM's versions, from which on a thing works (vllm#22386; vllm#45560; its dependency oss-harmony instead of openai-harmony).
FIRST_PARSER, BINDS, OWN_VOCABULARY = (0, 10, 2), (0, 25, 0), (0, 31, 0)


def of_command(command: Sequence[str], model_type: str, symptom: str = SYMPTOM) -> Iterator[Finding]:
    """Judge the flags of a command, that of the process that runs or else the unit's; a --config file may hold others.

    Args:
        command: Its words.
        model_type: That of the model's config.json, empty when unknown.
        symptom: What the check of tool calls saw.
    """
    flags = given(command)
    missing = [flag for flag in (AUTO, NAME) if flag not in flags]
    name = flags.get(NAME, "")
    if missing and "--config" not in flags:
        evidence = say("the command of vLLM: {flags}", flags=_shown(flags))
        cause = say("its command lacks {missing}", missing=joined(say(" and "), missing))
        remedy = say(
            "start vLLM with {auto} {flag} {parser} ({deploy})",
            auto=AUTO,
            flag=NAME,
            parser=PARSER if model_type == GPT_OSS else "PARSER",
            deploy=DEPLOY,
        )
        yield Finding(State.CRITICAL, symptom, evidence, cause, remedy)
    elif name and model_type == GPT_OSS and name != PARSER:
        evidence = say(
            "the command of vLLM: {flag} {name}; the model's config.json: model_type {model_type}",
            flag=NAME,
            name=name,
            model_type=model_type,
        )
        cause = say(
            "{name} is not the parser of gpt-oss, which is {parser}: its calls are not recognised",
            name=name,
            parser=PARSER,
        )
        yield Finding(
            State.CRITICAL,
            symptom,
            evidence,
            cause,
            say("start vLLM with {flag} {parser} ({deploy})", flag=NAME, parser=PARSER, deploy=DEPLOY),
        )


def of_version(version: str, model_type: str, environment: Mapping[str, str]) -> Iterator[Finding]:
    """Judge a version such as 0.32.0 or 0.10.2rc1+cpu; one that is unknown, or another model, says nothing.

    `environment` is that of the process, empty when it does not run.
    """
    found = re.match(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version)
    if not found or model_type != GPT_OSS:
        return
    number = tuple(int(part or 0) for part in found.groups())
    evidence = say("vLLM {version}", version=version)
    if number < FIRST_PARSER:
        cause = say(
            "this version has no parser openai: with it vLLM does not start, without it calls are lost"
        )
        yield Finding(State.CRITICAL, SYMPTOM, evidence, cause, UPGRADE)
        return
    if number < BINDS:
        symptom = say("arguments of tool calls may break the tool's schema, whatever the request says")
        cause = say("vLLM binds them from 0.25 on (tool_choice required or named, strict: true)")
        yield Finding(State.WARNING, symptom, evidence, cause, UPGRADE)
    if number < OWN_VOCABULARY and VOCABULARY not in environment:
        symptom = say("vLLM needs the internet to start, or to answer its first chat")
        cause = say("before 0.31 it downloads the vocabulary o200k_base.tiktoken")
        remedy = say(
            "{upgrade}; or put that file into a directory and set {vocabulary} to it (vllm_environment)",
            upgrade=UPGRADE,
            vocabulary=VOCABULARY,
        )
        yield Finding(State.WARNING, symptom, evidence, cause, remedy)


def _shown(flags: dict[str, str]) -> str:
    """Return the flags about tools that there are."""
    return " ".join(f"{flag} {flags[flag]}".strip() for flag in (AUTO, NAME) if flag in flags) or say(
        "no flag about tools"
    )
