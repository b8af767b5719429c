"""What the guide promises, asked of the running demo."""

from __future__ import annotations

import json
import os
import re
import subprocess

import requests
from deployed import BACKEND, DIRECTORY, VLLM, api_server, playbook, processes

# G3.1, word by word; the model's path, the port and the address are the demo's.
GUIDE = """--model MODEL --tokenizer MODEL --served-model-name gpt-oss-120b --tensor-parallel-size 2 --gpu-memory-utilization 0.90
--max-model-len 131072 --max-num-batched-tokens 4096 --port PORT --host 127.0.0.1 --disable-custom-all-reduce --enable-auto-tool-choice
--tool-call-parser openai"""


def test_every_flag_of_the_guide() -> None:
    _, command = api_server()
    model = command[command.index("--model") + 1]
    wanted = GUIDE.replace("MODEL", model).replace("PORT", VLLM.rpartition(":")[2]).split()
    start = command.index("--model")
    assert command[start : start + len(wanted)] == wanted


def test_environment_of_the_guide() -> None:
    pid, _ = api_server()
    with open(f"/proc/{pid}/environ", "rb") as file:
        environment = file.read().split(b"\0")
    assert b"CUDA_VISIBLE_DEVICES=0,1" in environment
    assert b"TOKENIZERS_PARALLELISM=false" in environment


def test_the_printed_curl() -> None:
    printed = playbook("ansible/demo.yml").stdout
    curl = re.search(r"^curl .*?^  }'$", printed, re.DOTALL | re.MULTILINE)
    assert curl, printed
    run = subprocess.run(
        ["sh", "-c", curl[0].replace("curl ", "curl -sS ", 1)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    choice = json.loads(run.stdout)["choices"][0]
    [call] = choice["message"]["tool_calls"]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert call["function"]["name"] == "get_weather"
    assert json.loads(call["function"]["arguments"]) == {"location": "Seoul"}


def test_the_backend_answers() -> None:
    reply = requests.post(
        f"{BACKEND}/v1/chat",
        json={"message": "회사 휴가 정책 알려줘", "session_id": "test-session-001"},
        timeout=120,
    )
    assert reply.status_code == 200, reply.text
    assert reply.json()["tools_called"] == ["search_policy"]
    assert "15" in reply.json()["answer"]


def test_no_reload() -> None:
    [command] = [command for command in processes().values() if "uvicorn" in command]
    assert "src.api.main:app" in command and "--reload" not in command


def test_deploy_alone_changes_nothing() -> None:
    pid, _ = api_server()
    run = playbook("deploy.yml")
    assert run.returncode == 0, run.stdout
    assert "changed=0 " in run.stdout
    assert api_server()[0] == pid


def test_nothing_is_written_outside() -> None:
    pid, _ = api_server()
    with open(f"/proc/{pid}/environ", "rb") as file:
        home = dict(pair.split(b"=", 1) for pair in file.read().split(b"\0") if b"=" in pair)[b"HOME"]
    assert os.fsdecode(home).startswith(str(DIRECTORY))
