"""What each reply must show, by the kind of model."""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nodestack_smoke.server import Refused, Server, reason, short

UNAUTHORIZED = 401

# Reasoning is cut after so many tokens, or a model that ponders would never come to its answer within the limit.
THINKING_TOKENS = 48

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Current weather in a city",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "enum": ["Paris", "Tokyo", "Lima"]},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
    },
}


class Check(NamedTuple):
    """One thing a reply must show; `pass` in the result."""

    check: str
    expected: str
    seen: str
    passed: bool

    def as_dict(self) -> dict[str, Any]:
        """Return it as the result has it."""
        return {"check": self.check, "expected": self.expected, "seen": self.seen, "pass": self.passed}


def run_kind(server: Server, kind: str, model: str, show: Callable[[str], None]) -> tuple[list[Check], str]:
    """Return the checks of a kind, up to the first that fails, and the text that came back."""
    text = ""
    checks: list[Check] = []
    questions: list[Callable[[], Check | tuple[Check, str]]] = [
        lambda: check_lock(server),
        lambda: check_model(server, model),
    ]
    if kind == "completion":
        questions.append(lambda: check_completion(server))
    else:
        questions.append(lambda: check_chat(server, reasoning=kind == "chat_reasoning_tools"))
    if kind == "chat_reasoning_tools":
        questions.append(lambda: check_tool_call(server))
    for number, ask in enumerate(questions, 1):
        show(f"asking the model, {number} of {len(questions)}")
        done = ask()
        check, said = done if not isinstance(done, Check) else (done, "")
        checks.append(check)
        text = text or said
        if not check.passed:
            break
    return checks, text


def check_lock(server: Server) -> Check:
    """Without the key nothing is answered."""
    try:
        seen = f"HTTP {server.status('/v1/models', key=False)}"
    except OSError as error:
        seen = f"no reply: {reason(error)}"
    expected = f"HTTP {UNAUTHORIZED}"
    return Check("request without the key", expected, seen, seen == expected)


def check_model(server: Server, name: str) -> Check:
    """The name clients ask for is served."""
    try:
        names = server.models()
    except Refused as refusal:
        return Check("served model", name, str(refusal), False)
    return Check("served model", name, ", ".join(names) or "none", name in names)


def check_chat(server: Server, *, reasoning: bool) -> tuple[Check, str]:
    """A chat is answered, with content or, from a model that reasons, with `reasoning`."""
    question: dict[str, Any] = {"messages": [{"role": "user", "content": "Say hello in one short sentence."}]}
    question["max_tokens"] = 2 * THINKING_TOKENS
    if reasoning:
        question["thinking_token_budget"] = THINKING_TOKENS
    expected = "content or reasoning" if reasoning else "content"
    try:
        message = _message(server.ask("/v1/chat/completions", question))
    except Refused as refusal:
        return Check("chat", expected, str(refusal), False), ""
    found = {field: str(message.get(field) or "").strip() for field in ("content", "reasoning")}
    text = found["content"] or (found["reasoning"] if reasoning else "")
    seen = " and ".join(f"{len(value)} characters of {field}" for field, value in found.items() if value)
    if not seen and message.get("reasoning_content"):
        seen = "reasoning_content: the field of an engine older than 0.23"
    return Check("chat", expected, seen or "an empty message", bool(text)), text


def check_tool_call(server: Server) -> Check:
    """A required tool is called, with arguments that fit its schema."""
    question = {
        "messages": [{"role": "user", "content": "What is the weather in Paris, in celsius?"}],
        "tools": [TOOL],
        "tool_choice": "required",
        "thinking_token_budget": THINKING_TOKENS,
    }
    name = TOOL["function"]["name"]
    expected = f"a call of {name} whose arguments fit its schema"
    try:
        choice = server.ask("/v1/chat/completions", question)
        calls = _message(choice).get("tool_calls") or []
        seen, fits = _judge_calls(calls, name)
        if not calls:
            seen = f"no tool call, finish_reason {choice.get('finish_reason')}"
    except Refused as refusal:
        return Check("tool call", expected, str(refusal), False)
    return Check("tool call", expected, seen, fits)


def check_completion(server: Server) -> tuple[Check, str]:
    """A text is continued."""
    expected = "text"
    try:
        choice = server.ask("/v1/completions", {"prompt": "The capital of France is", "max_tokens": THINKING_TOKENS})
    except Refused as refusal:
        return Check("completion", expected, str(refusal), False), ""
    text = str(choice.get("text") or "").strip()
    return Check("completion", expected, f"{len(text)} characters" if text else "an empty text", bool(text)), text


def _judge_calls(calls: Sequence[Any], name: str) -> tuple[str, bool]:
    """Return what the calls are, and whether each is right."""
    for call in calls:
        function = call.get("function") or {}
        if function.get("name") != name:
            return f"a call of {function.get('name')}", False
        try:
            arguments = json.loads(function.get("arguments") or "")
        except ValueError:
            return f"arguments that are not JSON: {short(str(function.get('arguments')))}", False
        wrong = mismatch(arguments, TOOL["function"]["parameters"])
        if wrong:
            return f"arguments {short(json.dumps(arguments))}: {wrong}", False
    return "; ".join(f"{name}({short(call['function']['arguments'])})" for call in calls[:2]), bool(calls)


def mismatch(value: object, schema: dict[str, Any]) -> str:
    """Return where a value leaves a schema of objects, strings and enums, or ""."""
    kinds: dict[str, type] = {"object": dict, "string": str}
    if not isinstance(value, kinds[schema["type"]]):
        return f"{json.dumps(value)} is no {schema['type']}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{json.dumps(value)} is none of {', '.join(schema['enum'])}"
    if isinstance(value, dict):
        properties = schema["properties"]
        for name in schema["required"]:
            if name not in value:
                return f"{name} is missing"
        for name, inner in value.items():
            if name not in properties:
                return f"{name} is not asked for"
            if wrong := mismatch(inner, properties[name]):
                return f"{name} {wrong}"
    return ""


def _message(choice: dict[str, Any]) -> dict[str, Any]:
    message = choice.get("message")
    if not isinstance(message, dict):
        raise Refused(f"a choice without a message: {short(json.dumps(choice))}")
    return message
