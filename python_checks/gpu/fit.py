"""Whether the model in a directory fits on the GPUs, with the options that vLLM would get."""

import argparse
import json
from collections.abc import Sequence

from python_checks.core import regular_file
from python_checks.core.result import CheckError, Fault, State
from python_checks.core.say import say
from python_checks.core.words import GIB, MIB
from python_checks.gpu import arithmetic, kv_cache
from python_checks.gpu.arithmetic import Budget
from python_checks.gpu.inventory import Gpu
from python_checks.model import files

UNSAID = say("whether the model fits shows at its start only; a newer driver may tell")


def judge(
    options: argparse.Namespace, gpus: Sequence[Gpu], free: float | None
) -> tuple[Budget | None, list[Fault]]:
    """Reckon with the smallest GPU.

    Args:
        options: Those of the gpu check.
        gpus: The GPUs that vLLM takes, at least one.
        free: Bytes on the fullest of them that no other program holds; None when unknown.

    Returns:
        The figures, None where they cannot be had, and the faults.
    """
    small = min(gpus, key=lambda gpu: gpu.usable or 0)
    if small.usable is None:
        words = say(
            "GPU {index} ({name}) does not say how much memory it has", index=small.index, name=small.name
        )
        return None, [Fault(words, UNSAID, State.UNKNOWN)]
    try:
        budget = _budget(options, small.name, float(small.usable * MIB))
    except CheckError as error:
        return None, [error.fault]
    least = arithmetic.LEAST if options.reserve is None else budget.reserve
    faults = arithmetic.judge(budget, budget.usable if free is None else free, least)
    longest = budget.shape.longest
    if budget.length > longest:
        words = say(
            "--max-model-len {length} is over the {longest} tokens that the model allows",
            length=budget.length,
            longest=longest,
        )
        faults.insert(0, Fault(words, say("--max-model-len {longest} at most", longest=longest)))
    return budget, faults


def _budget(options: argparse.Namespace, name: str, usable: float) -> Budget:
    found = files.look(options.model_directory)
    if found.state is State.CRITICAL:
        words = say("the size of the weights is not known: {reason}", reason=found.reason)
        raise CheckError(Fault(words, say("run the model-files check"), State.UNKNOWN))
    config = json.loads(regular_file.content(options.model_directory / "config.json"))
    parts, tokens = options.tensor_parallel_size, options.max_num_batched_tokens
    shape = kv_cache.shape(config, parts)
    try:
        weights = arithmetic.weights(config, found.evidence["bytes"], parts)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        words = say("config.json does not give the shape of the experts: {error}", error=repr(error))
        raise CheckError(Fault(words, say("run the model-files check"), State.UNKNOWN)) from error
    requests = options.max_num_seqs or arithmetic.default_requests(name, usable)
    rest = arithmetic.reserve(tokens, requests) if options.reserve is None else options.reserve * GIB
    length = options.max_model_len or shape.longest
    in_flight = kv_cache.BATCHES * tokens
    return Budget(usable, options.gpu_memory_utilization, weights, rest, length, in_flight, shape)
