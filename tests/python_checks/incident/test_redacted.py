"""No user's word is in what is kept of a log. The lines are those of vLLM's own logging calls, with a prompt where one would be."""

from __future__ import annotations

import pytest

from python_checks.incident import redacted

SECRET = "Geheimnis"
HEAD = "(APIServer pid=11) DEBUG 11-29 17:00:00 [request_logger.py:56] "
INFO = "(APIServer pid=11) INFO 11-29 17:00:00 [async_llm.py:578] "
TELLS = [
    f"{HEAD}Request chatcmpl-1 details: prompt: '{SECRET}\\nmore', prompt_token_ids: [1, 2], prompt_embeds shape: None.",
    f'{HEAD}Request chatcmpl-1 JSON body: {{"messages":[{{"role":"user","content":"{SECRET}"}}]}}',
    f"{HEAD}Received request chatcmpl-1: params: SamplingParams(n=1, stop=['{SECRET}']), lora_request: None.",
    f"{HEAD}Generated response chatcmpl-1 (streaming delta): output: '{SECRET}', finish_reason: None",
    f"{INFO}Request chatcmpl-1 failed (input error): {SECRET} is no tool.",
    f"(APIServer pid=11) ERROR 11-29 17:00:00 [serving.py:5] 1 validation error: messages.0, input_value={{'a': '{SECRET}'}}",
    f'(EngineCore pid=12) ERROR 11-29 17:00:01 [core.py:9] request = {{"prompt": "{SECRET}"}}',
    f"(EngineCore pid=12) ERROR 11-29 17:00:01 [dump_input.py:9] NewRequestData(prompt_token_ids=[{SECRET}])",
    f"(EngineCore pid=12) ERROR 11-29 17:00:01 [x.py:9] CachedRequestData(new_token_ids=[[{SECRET}]])",
    f'{{"level": "INFO", "message": "Received request chatcmpl-1: prompt: {SECRET}"}}',
    f"INFO 07-01 10:00:00 [logger.py:43] Received request cmpl-1: prompt: '{SECRET}', params: SamplingParams(n=1)",
]
SAYS = [
    "(EngineCore pid=12) INFO 11-29 17:00:05 [shm_broadcast.py:542] No available shared memory broadcast block found in 60 seconds.",
    "(APIServer pid=11) INFO 11-29 17:00:05 [loggers.py:257] Engine 000: Avg prompt throughput: 12.5 tokens/s, Avg generation "
    "throughput: 3.0 tokens/s, Running: 2 reqs, Waiting: 1 reqs, GPU KV cache usage: 0.1%, Prefix cache hit rate: 5.0%",
    "(Worker_TP1 pid=14) ERROR 11-29 17:00:06 [multiproc_executor.py:9] torch.OutOfMemoryError: CUDA out of memory.",
    '(APIServer pid=11) INFO:     127.0.0.1:38200 - "POST /v1/chat/completions HTTP/1.1" 200 OK',
    "(APIServer pid=11) INFO 11-29 17:00:07 [async_llm.py:578] Added request chatcmpl-3.",
    "(APIServer pid=11) INFO 11-29 17:00:08 [async_llm.py:783] Request chatcmpl-3 aborted.",
]


@pytest.mark.parametrize("line", TELLS)
def test_no_word_of_a_user(line: str) -> None:
    assert SECRET in line
    [kept] = redacted.lines([line])
    assert SECRET not in kept and redacted.GONE in kept
    if "chatcmpl-1" in line and not line.startswith("{"):
        assert "chatcmpl-1" in kept  # its id may stay


def test_what_explains_a_hang_stays() -> None:
    assert redacted.lines(SAYS) == SAYS


@pytest.mark.parametrize("more", [f"{HEAD}{SECRET}", SECRET, f"  {SECRET}", "\x1b[31m" + SECRET])
def test_what_goes_on_with_such_a_line_is_left_out(more: str) -> None:
    """vLLM begins each line of a message as its first; a library may not."""
    kept = redacted.lines([SAYS[0], TELLS[0], more, more, SAYS[2]])
    assert kept[0] == SAYS[0] and kept[-1] == SAYS[2] and len(kept) == 3
    assert SECRET not in "".join(kept)


def test_ids_of_open_requests() -> None:
    lines = [
        f"{INFO}Added request chatcmpl-a.",
        f"{INFO}Added request chatcmpl-b.",
        f"{HEAD}Received request chatcmpl-c: params: SamplingParams(n=1), lora_request: None.",
        f"{HEAD}Generated response chatcmpl-a (streaming delta): output: 'x', finish_reason: None",
        f"{HEAD}Generated response chatcmpl-b (streaming complete): output: 'x', finish_reason: stop",
        f"{INFO}Request chatcmpl-c aborted.",
    ]
    assert redacted.open_requests(lines) == ["chatcmpl-a"]
    assert redacted.open_requests(SAYS[:4]) == []
