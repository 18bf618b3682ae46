"""What chats, tool calls, streams, structured outputs and completions must show."""

import json
from collections.abc import Sequence
from typing import Any

from nodestack_smoke.question import CHAT, COMPLETIONS, Asked, Question, Wrong
from nodestack_smoke.schema import mismatch
from nodestack_smoke.server import Streamed, choice, message, prompt_tokens, short

# Reasoning is cut after so many tokens, or a model that ponders would never come to its answer within the limit.
THINKING_TOKENS = 48
# What a timer asks for.
FEW_TOKENS = 8

CITY: dict[str, Any] = {"type": "string", "enum": ["Paris", "Tokyo", "Lima"]}
UNIT: dict[str, Any] = {"type": "string", "enum": ["celsius", "fahrenheit"]}
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather in a city",
        "parameters": {
            "type": "object",
            "properties": {"city": CITY, "unit": UNIT},
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}
NAME = TOOL["function"]["name"]
# Enums and booleans only: of random weights a free string would never end.
ANSWER: dict[str, Any] = {
    "type": "object",
    "properties": {"city": CITY, "is_capital": {"type": "boolean"}},
    "required": ["city", "is_capital"],
    "additionalProperties": False,
}
TAGS = ("<think>", "</think>")


def chat(asked: Asked) -> Question:
    """A chat is answered, by a model that reasons with its reasoning apart from its answer."""
    if asked.reasons:
        remedy = "thoughts and answer are not told apart: look at reasoning-parser among the engine's options"
        return Question("reasoning apart from content", "reasoning, and content without its tags", remedy, _chat)
    return Question("chat", "content", "the model does not answer: look at its chat template and its weights", _chat)


def few_tokens() -> Question:
    """Something is answered at all."""
    return Question(
        "few tokens",
        "a reply",
        "the engine does not answer: read journalctl -u nodestack-vllm, then restart the service",
        _few,
    )


def streaming() -> Question:
    """A reply comes in pieces, in the fields of a whole one."""
    return Question(
        "streaming",
        "pieces, with the usage at their end, in the fields of a whole reply",
        "clients that stream get no replies: look at the engine's version and at what it logged",
        _stream,
    )


def tool_call() -> Question:
    """A required tool is called as its schema says, and the model goes on from its result with its own reasoning."""
    return Question(
        "tool call",
        f"a call of {NAME} whose arguments fit its schema, and a reply to its result with the reasoning passed back",
        "agents do not work: look at tool-call-parser, enable-auto-tool-choice and the model's chat template",
        _tool_call,
    )


def json_schema() -> Question:
    """An answer that has to fit a schema does."""
    return Question(
        "JSON schema",
        "content that fits its schema",
        "structured outputs do not work: look at structured-outputs-config among the engine's options",
        _structured,
    )


def completion() -> Question:
    """A text is continued."""
    return Question(
        "completion",
        "text",
        "the model does not go on with a text: look at its weights and at what the engine logged",
        _completion,
    )


def _chat(asked: Asked) -> str:
    reply = asked.server.ask(CHAT, _greeting(asked))
    said, ended = message(reply), choice(reply).get("finish_reason")
    found = {name: str(said.get(name) or "").strip() for name in ("reasoning", "content")}
    seen = " and ".join(f"{len(text)} characters of {name}" for name, text in found.items() if text)
    if said.get("reasoning_content") and not found["reasoning"]:
        raise Wrong("reasoning_content: the field of an engine older than 0.23")
    if tag := next((tag for tag in TAGS if asked.reasons and tag in found["content"]), ""):
        raise Wrong(f"{tag} in the content")
    if asked.reasons and not found["reasoning"]:
        raise Wrong(f"{seen} and no reasoning" if seen else "an empty message")
    if not found["content"] and (ended != "length" or asked.server.cuts_reasoning or not asked.reasons):
        raise Wrong(f"{seen or 'an empty message'}, finish_reason {ended}")
    asked.text = asked.text or found["content"] or found["reasoning"]
    asked.fields = frozenset(name for name, text in found.items() if text)
    return seen


def _few(asked: Asked) -> str:
    completion = asked.kind == "completion"
    question = _prompt() if completion else _greeting(asked)
    reply = asked.server.ask(COMPLETIONS if completion else CHAT, {**question, "max_tokens": FEW_TOKENS})
    tokens = (reply.get("usage") or {}).get("completion_tokens")
    if not tokens:
        raise Wrong("a reply without tokens")
    return f"{tokens} tokens, finish_reason {choice(reply).get('finish_reason')}"


def _stream(asked: Asked) -> str:
    completion = asked.kind == "completion"
    streamed = asked.server.stream(COMPLETIONS if completion else CHAT, _prompt() if completion else _greeting(asked))
    pieces = [chunk["choices"][0] for chunk in streamed.chunks if chunk.get("choices")]
    if len(pieces) < 2:  # noqa: PLR2004 - one piece is no stream
        raise Wrong(f"{len(pieces)} pieces")
    _require_end(streamed)
    texts: dict[str, str] = {}
    for piece in pieces:
        for name, text in (piece.get("delta") or {"text": piece.get("text")}).items():
            texts[name] = texts.get(name, "") + (text if isinstance(text, str) and name != "role" else "")
    fields = frozenset(name for name, text in texts.items() if text.strip())
    if asked.fields and fields != asked.fields:
        raise Wrong(f"{_list(fields)} in pieces where a whole reply has {_list(asked.fields)}")
    return (
        f"{len(pieces)} pieces in {streamed.seconds:.2f} s, the first after {streamed.first_s:.2f} s: {_list(fields)}"
    )


def _require_end(streamed: Streamed) -> None:
    if not streamed.done:
        raise Wrong(f"{len(streamed.chunks)} pieces without [DONE]")
    last = streamed.chunks[-1]
    if last.get("choices") or not (last.get("usage") or {}).get("completion_tokens"):
        raise Wrong("no usage at the end")
    if len({(chunk.get("id"), chunk.get("object")) for chunk in streamed.chunks}) != 1:
        raise Wrong("pieces of several replies")


def _tool_call(asked: Asked) -> str:
    first: list[dict[str, Any]] = [{"role": "user", "content": "What is the weather in Paris, in celsius?"}]
    budget = {"thinking_token_budget": THINKING_TOKENS}
    reply = asked.server.ask(CHAT, {"messages": first, "tools": [TOOL], "tool_choice": "required", **budget})
    said = message(reply)
    calls = said.get("tool_calls") or []
    if not calls:
        raise Wrong(f"no tool call, finish_reason {choice(reply).get('finish_reason')}")
    if wrong := _misfit(calls):
        raise Wrong(wrong)
    called = f"{NAME}({short(calls[0]['function']['arguments'])})"
    reasoning = said.get("reasoning")
    if asked.reasons and not reasoning:
        raise Wrong(f"{called} without reasoning")
    # Content is "" and never null: templates of several models take null for a text.
    turn = {"role": "assistant", "content": said.get("content") or "", "tool_calls": calls}
    results = [
        {"role": "tool", "tool_call_id": call.get("id"), "content": '{"temperature": 18, "unit": "celsius"}'}
        for call in calls
    ]
    second = {"tools": [TOOL], "max_tokens": 2 * THINKING_TOKENS, **(budget if asked.reasons else {})}
    with_reasoning = {**turn, "reasoning": reasoning} if reasoning else turn
    answer = asked.server.ask(CHAT, {"messages": [*first, with_reasoning, *results], **second})
    words = message(answer)
    if not any(str(words.get(name) or "").strip() for name in ("content", "reasoning", "tool_calls")):
        raise Wrong(f"{called}, then an empty reply to its result")
    if not reasoning:
        return f"{called}, then a reply to its result"
    without = asked.server.ask(CHAT, {"messages": [*first, turn, *results], **second, "max_tokens": 1})
    passed_back = prompt_tokens(answer) - prompt_tokens(without)
    if passed_back <= 0:
        raise Wrong(f"{called}, then a reply to a prompt that leaves the reasoning out")
    return f"{called}, then a reply to its result after {passed_back} tokens of reasoning passed back"


def _structured(asked: Asked) -> str:
    question: dict[str, Any] = {
        "messages": [{"role": "user", "content": "Is Paris the capital of France? Answer in JSON."}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": ANSWER, "strict": True}},
        **({"thinking_token_budget": THINKING_TOKENS} if asked.reasons else {}),
    }
    reply = asked.server.ask(CHAT, question)
    content = str(message(reply).get("content") or "")
    try:
        answer = json.loads(content)
    except ValueError:
        ended = choice(reply).get("finish_reason")
        raise Wrong(f"content that is not JSON: {short(content) or 'nothing'}, finish_reason {ended}") from None
    if wrong := mismatch(answer, ANSWER):
        raise Wrong(f"{short(content)}: {wrong}")
    return short(content)


def _completion(asked: Asked) -> str:
    text = str(choice(asked.server.ask(COMPLETIONS, _prompt())).get("text") or "").strip()
    if not text:
        raise Wrong("an empty text")
    asked.text = asked.text or text
    return f"{len(text)} characters"


def _greeting(asked: Asked) -> dict[str, Any]:
    question: dict[str, Any] = {
        "messages": [{"role": "user", "content": "What is the sum of all prime numbers less than 50? Show your work."}],
        "max_tokens": 2 * THINKING_TOKENS,
    }
    return {**question, "thinking_token_budget": THINKING_TOKENS} if asked.reasons else question


def _prompt() -> dict[str, Any]:
    return {"prompt": "The capital of France is", "max_tokens": THINKING_TOKENS}


def _misfit(calls: Sequence[Any]) -> str:
    """Return what is wrong with calls of the tool, or ""."""
    for call in calls:
        function = call.get("function") or {}
        if function.get("name") != NAME:
            return f"a call of {function.get('name')}"
        try:
            arguments = json.loads(function.get("arguments") or "")
        except ValueError:
            return f"arguments that are not JSON: {short(str(function.get('arguments')))}"
        if wrong := mismatch(arguments, TOOL["function"]["parameters"]):
            return f"arguments {short(json.dumps(arguments))}: {wrong}"
    return ""


def _list(names: frozenset[str]) -> str:
    return " and ".join(sorted(names, reverse=True)) or "nothing"
