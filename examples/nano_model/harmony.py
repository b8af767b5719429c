"""Renders conversations to Harmony tokens as vLLM 0.32 does, with what the model has to say marked."""

from collections.abc import Sequence

from messages import Message, Setting, Tool
from openai_harmony import (
    Conversation,
    DeveloperContent,
    HarmonyEncodingName,
    ReasoningEffort,
    Role,
    SystemContent,
    ToolDescription,
    load_harmony_encoding,
)
from openai_harmony import (
    Message as HarmonyMessage,
)

ENCODING = load_harmony_encoding(HarmonyEncodingName.HARMONY_GPT_OSS)


def encode(text: str) -> list[int]:
    """Token ids of a text in which Harmony's special tokens are spelt out."""
    return ENCODING.encode(text, allowed_special="all")


START, ASSISTANT, END, CALL, RETURN = encode("<|start|>assistant<|end|><|call|><|return|>")


def render_setting(setting: Setting) -> list[int]:
    """The system message and, with tools or a system prompt, the developer message."""
    system = SystemContent.new().with_conversation_start_date(setting.date)
    system = system.with_reasoning_effort(ReasoningEffort(setting.effort.capitalize()))
    messages = [HarmonyMessage.from_role_and_content(Role.SYSTEM, system)]
    if setting.instructions or setting.tools:
        developer = DeveloperContent.new()
        if setting.instructions:
            developer = developer.with_instructions(setting.instructions)
        if setting.tools:
            developer = developer.with_function_tools([_describe(tool) for tool in setting.tools])
        messages.append(HarmonyMessage.from_role_and_content(Role.DEVELOPER, developer))
    return ENCODING.render_conversation(Conversation.from_messages(messages))


def _describe(tool: Tool) -> ToolDescription:
    field = {"type": "string"}
    if tool.parameter_description:
        field["description"] = tool.parameter_description
    schema = {"type": "object", "properties": {tool.parameter: field}, "required": [tool.parameter]}
    return ToolDescription.new(tool.name, tool.description, parameters=schema)


def render_messages(messages: Sequence[Message]) -> tuple[list[int], list[int]]:
    """Tokens of the messages, and for each place the token to say next (-1: not the model's turn).

    A past call stands in the prompt as `assistant to=functions.NAME<|channel|>commentary json`; the model says
    the very same, so every answer of a long conversation is an example. Only the last token of an answer
    differs: the model says <|return|> where the history has <|end|>.
    """
    tokens = encode("".join(_spell(message) for message in messages))
    targets = [-1] * len(tokens)
    speaking = False
    coming = iter(messages)
    for place, token in enumerate(tokens):
        if token == START:
            message = next(coming)
        elif speaking:
            targets[place - 1] = RETURN if token == END else token
            speaking = token not in (END, CALL)
        else:
            speaking = message.example and tokens[place - 1 : place + 1] == [START, ASSISTANT]
    return tokens, targets


def _spell(message: Message) -> str:
    if message.role == "user":
        return f"<|start|>user<|message|>{message.text}<|end|>"
    if message.role == "tool":
        header = f"<|start|>functions.{message.tool}<|channel|>commentary to=assistant<|message|>"
        return f"{header}{message.text}<|end|>"
    if message.role == "call":
        header = f"<|start|>assistant to=functions.{message.tool}<|channel|>commentary json<|message|>"
        return f"{header}{message.text}<|call|>"
    return f"<|start|>assistant<|channel|>final<|message|>{message.text}<|end|>"
