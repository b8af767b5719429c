"""The guide's tool call through langchain_openai, whose Python runs this file: JSON of what the client made of the replies.

PYTHON langchain_client.py URL MODEL SECONDS '{"tool": …, "prompt": …}' <KEY
"""

import json
import os
import sys
from typing import Any


def told(message: Any) -> dict[str, Any]:
    """Return what an agent reads of an AIMessage."""
    return {
        "content": message.content,
        "tool_calls": message.tool_calls,
        "invalid_tool_calls": message.invalid_tool_calls,
        "finish_reason": message.response_metadata.get("finish_reason"),
    }


def main(url: str, model: str, seconds: str, given: str) -> None:
    """Ask once plainly and once streamed, and print both."""
    os.environ["no_proxy"] = "*"  # a proxy of the environment must not answer for a local server
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    request = json.loads(given)
    llm = ChatOpenAI(
        base_url=f"{url}/v1",
        api_key=SecretStr(sys.stdin.read() or "dummies"),  # without a key any will do, as in the guide (5.1)
        model=model,
        temperature=0,
        timeout=float(seconds),
        max_retries=0,
    ).bind_tools([request["tool"]])
    plain = llm.invoke([request["prompt"]])
    chunks = list(llm.stream([request["prompt"]]))
    joined: Any = chunks[0]
    for chunk in chunks[1:]:
        joined += chunk
    json.dump({"invoke": told(plain), "stream": told(joined)}, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
