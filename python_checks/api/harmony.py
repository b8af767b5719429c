"""Signs that vLLM handed out raw Harmony text instead of parsing it.

vLLM 0.32 swallows a parse error and returns the raw text with HTTP 200 (vllm/parser/harmony.py), so a status
says nothing.
"""

import re

from python_checks.core.say import say

CHANNELS = "analysis|commentary|final"
# A message is <|start|>ROLE to=WHOM<|channel|>CHANNEL <|constrain|>TYPE<|message|>TEXT<|end|>. What is left of one shows by its
# special tokens (cut ones and those of other vocabularies too), by whom it is for, or by words that run together without them.
_LEAKS = (
    re.compile(r"<\|[a-z][a-z_0-9]*\|?>"),
    re.compile(r"to=(?:functions|browser|python|container|assistant)\b"),
    re.compile(rf"assistant(?:{CHANNELS}|(?!s\b)[a-z]+(?=\s*\{{))"),
    re.compile(rf"(?:assistant|{CHANNELS}) to=\w+"),
    re.compile(rf"\A\s*(?:{CHANNELS})(?:json|code)?(?=\s*\{{)"),
    re.compile(r"\A\s*(?:analysis|commentary)(?=[A-Z\n]|[^\W\d_a-z])"),
    re.compile(r"\A\s*final(?=[^\W\d_a-zA-Z])"),
    re.compile(r"\bfunctions\.\w+(?=\s*\(?\s*\{)"),
)
WORDS = frozenset((*CHANNELS.split("|"), "assistant", "json", "code", "constrain", "functions"))
PREFIX = "functions."
REMEDY = say(
    "the reply was not parsed: serve with --tool-call-parser openai and vLLM >= 0.31; "
    "generation_config.json needs eos ids 200002, 199999 and 200012"
)
# Where a call came the parser is set, and left something.
LEFT = say(
    "vLLM's parser left it in: update vLLM (>= 0.31); generation_config.json needs eos ids 200002, "
    "199999 and 200012"
)


def leak(text: object) -> str:
    """Return the first Harmony token in `text`, or an empty string."""
    if not isinstance(text, str):
        return ""
    found = (pattern.search(text) for pattern in _LEAKS)
    return next((match.group()[:40].strip() for match in found if match), "")


def leak_of_name(name: str, tools: frozenset[str]) -> str:
    """Return what of Harmony's header is in the name of a tool besides one of `tools`, or an empty string."""
    rest = next(
        (name.removeprefix(tool) for tool in sorted(tools, key=len, reverse=True) if name.startswith(tool)),
        name,
    )
    return rest if rest.strip(" .<|>").removeprefix("to=") in WORDS else leak(name)
