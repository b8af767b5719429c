"""Why tool calls do not work: each cause from the command or the version, also of a vLLM that is down."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from python_checks.core.result import Result, State
from python_checks.core.say import say
from python_checks.doctor import diagnosis
from python_checks.service import engine_facts
from python_checks.service.facts import Service
from tests.python_checks.doctor_support import one, signs
from tests.python_checks.support import Server

AUTO, PARSER = "--enable-auto-tool-choice", "--tool-call-parser"
SERVE = ["/opt/vllm/bin/vllm", "serve", "/m"]


@pytest.mark.parametrize(
    ("flags", "cause"),
    [
        ([], f"its command lacks {AUTO} and {PARSER}"),
        ([AUTO], f"its command lacks {PARSER}"),
        ([PARSER, "openai"], f"its command lacks {AUTO}"),
        (
            [AUTO, PARSER, "hermes"],
            "hermes is not the parser of gpt-oss, which is openai: its calls are not recognised",
        ),
        (
            [AUTO, f"{PARSER}=opneai"],
            "opneai is not the parser of gpt-oss, which is openai: its calls are not recognised",
        ),
    ],
)
@pytest.mark.parametrize("host", ["supervisor_running", "supervisor_stopped"])
def test_what_the_command_lacks(host: str, flags: list[str], cause: str) -> None:
    found = diagnosis.findings(signs(host, command=[*SERVE, *flags], model_type="gpt_oss"))
    [finding] = [each for each in found if each.symptom.startswith("tool calls do not work")]
    assert (finding.state, finding.cause) == (State.CRITICAL, cause)
    assert finding.evidence.startswith("the command of vLLM: ")
    assert "--tool-call-parser openai" in finding.remedy and "vllm_tool_call_parser: openai" in finding.remedy


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        ([AUTO, PARSER, "openai"], "gpt_oss"),
        (["--enable_auto_tool_choice", f"{PARSER}=openai"], "gpt_oss"),
        ([AUTO, PARSER, "hermes"], "qwen2"),  # that of another model
        (["--config", "/etc/vllm.yaml"], "gpt_oss"),  # it may hold them
    ],
)
def test_a_command_that_may_be_right(flags: list[str], kind: str) -> None:
    assert diagnosis.findings(signs(command=[*SERVE, *flags], model_type=kind)) == []


def test_what_the_check_saw_is_the_symptom_and_no_finding_of_its_own() -> None:
    seen = Result(
        "tool-call",
        State.CRITICAL,
        say("no tool call: tool_calls is {found}, content is {content}", found="null", content='"{...}"'),
        "flags",
    )
    finding = one(signs(command=SERVE, model_type="gpt_oss", results=[seen]))
    assert finding.symptom == f"tool-call: {seen.reason}"
    right = [*SERVE, AUTO, PARSER, "openai"]
    assert one(signs(command=right, results=[seen])).remedy == "flags"  # another cause


@pytest.mark.parametrize(
    ("version", "symptoms"),
    [
        ("0.10.1.1", ["tool calls do not work"]),
        ("0.10.2rc1+cpu", ["arguments of tool calls may break", "vLLM needs the internet"]),
        ("0.24.9", ["arguments of tool calls may break", "vLLM needs the internet"]),
        ("0.25.0", ["vLLM needs the internet"]),
        ("0.30.0", ["vLLM needs the internet"]),
        ("0.31", []),
        ("0.32.0+cpu", []),
        ("1.0.0", []),
        ("dev", []),
        ("", []),
    ],
)
def test_versions(version: str, symptoms: list[str]) -> None:
    found = diagnosis.findings(signs(version=version, model_type="gpt_oss"))
    assert len(found) == len(symptoms)
    for finding, words in zip(found, symptoms, strict=True):
        assert finding.symptom.startswith(words) and finding.evidence == f"vLLM {version}"
    assert diagnosis.findings(signs(version=version, model_type="llama")) == []


def test_a_vocabulary_that_lies_there_needs_no_internet() -> None:
    placed = {"TIKTOKEN_ENCODINGS_BASE": "/opt/vocabulary"}
    assert diagnosis.findings(signs(version="0.30.0", model_type="gpt_oss", environment=placed)) == []


def test_the_version_is_what_the_server_says_or_else_its_releases(server: Server) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    vllm = Service(
        "vllm", pid=1, current="0.32.0-0123456789ab", command=["x", "--host", host, "--port", port]
    )
    server.answers["/version"] = (200, {"version": "0.24.0"})
    assert engine_facts.version(vllm, "") == "0.24.0"
    assert engine_facts.version(vllm, "no answer") == "0.32.0"
    server.answers["/version"] = (404, {"detail": "Not Found"})
    assert engine_facts.version(vllm, "") == "0.32.0"
    assert engine_facts.version(Service("vllm", current="3f2a-bbbbbbbbbbbb"), "it does not run") == ""


def test_the_command_is_that_of_the_process_and_not_of_the_unit() -> None:
    code = "print(flush=True); input()"
    words = ["python", "-c", code, "-m", "vllm.entrypoints.openai.api_server", "--model", "/m"]
    with subprocess.Popen(
        words, executable=sys.executable, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdout and child.stdin
        child.stdout.readline()
        runs = engine_facts.command(Service("vllm", pid=child.pid, command=SERVE))
        child.stdin.close()
    assert runs == words
    assert engine_facts.command(Service("vllm", command=SERVE)) == SERVE


def test_the_model_says_what_it_is(tmp_path: Path) -> None:
    vllm = Service("vllm", command=["vllm", "serve", str(tmp_path)])
    assert engine_facts.model_type(vllm) == ""
    for text, kind in ((json.dumps({"model_type": "gpt_oss"}), "gpt_oss"), ("[", ""), ("[]", ""), ("{}", "")):
        (tmp_path / "config.json").write_text(text)
        assert engine_facts.model_type(vllm) == kind
