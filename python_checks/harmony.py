"""Signs that vLLM handed out raw Harmony text instead of parsing it.

vLLM 0.32 swallows a parse error and returns the raw text with HTTP 200 (vllm/parser/harmony.py), so a status
says nothing.
"""

import re

# The special tokens of gpt-oss's vocabulary, and the header that addresses a tool.
_LEAK = re.compile(
    r"<\|(?:start|end|message|channel|constrain|call|return|endoftext|startoftext|refusal|reserved_\d+)\|>"
    r"|to=functions\b"
    r"|assistant(?:analysis|commentary|final)"  # the headers run together where special tokens are left out
)
REMEDY = (
    "the reply was not parsed: serve with --tool-call-parser openai and vLLM >= 0.31; "
    "generation_config.json needs eos ids 200002, 199999 and 200012"
)


def leak(text: object) -> str:
    """Return the first Harmony token in `text`, or an empty string."""
    found = _LEAK.search(text) if isinstance(text, str) else None
    return found.group() if found else ""
