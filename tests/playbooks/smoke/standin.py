"""A stand-in for an OpenAI-compatible engine: right in everything at first, and made wrong by a test in one thing."""

import json
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

KEY = "sk-only-the-clients-know"
MODEL = "tiny"
COMMIT = "c" * 40
VERSION = "0.23.0"
MAX_MODEL_LEN = 128
METRICS = ("vllm:num_requests_running", "vllm:generation_tokens_total", "vllm:time_to_first_token_seconds_bucket")

Body = dict[str, Any]
Reply = tuple[int, Any]


def chat(finish_reason: str = "stop", **message: Any) -> Reply:
    choices = [{"message": {"role": "assistant", "content": None, **message}, "finish_reason": finish_reason}]
    return 200, {"choices": choices, "usage": {"prompt_tokens": 10, "completion_tokens": 5}}


def call(arguments: str, name: str = "get_weather", **message: Any) -> Reply:
    calls = [{"id": "1", "type": "function", "function": {"name": name, "arguments": arguments}}]
    return chat("tool_calls", **{"content": "", "reasoning": "Ask.", "tool_calls": calls, **message})


def pieces(fields: Iterable[str] = ("reasoning", "content"), *, usage: bool = True, done: bool = True) -> list[str]:
    """Return the lines of a streamed chat, or of a streamed text."""
    fields = list(fields)
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk"}
    texts: list[Body] = [{"text": "word"} if name == "text" else {"delta": {name: "word"}} for name in fields * 2]
    chunks: list[Body] = [{**head, "choices": [{"index": 0, **text}]} for text in texts]
    if usage:
        chunks.append({**head, "choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": len(chunks)}})
    return [*(f"data: {json.dumps(chunk)}" for chunk in chunks), *(["data: [DONE]"] if done else [])]


def second_turn(body: Body) -> Reply:
    """Answer the result of a tool, and count what was said before: a hundred characters are twenty-five tokens."""
    said = len(json.dumps(body["messages"])) // 4
    status, reply = chat(reasoning="It is mild.", content="18 degrees.")
    return status, {**reply, "usage": {"prompt_tokens": said, "completion_tokens": 3}}


def completion(body: Body) -> Reply:
    prompt = body["prompt"]
    tokens = len(prompt) if isinstance(prompt, list) else 5
    if tokens + body["max_tokens"] > MAX_MODEL_LEN:
        return 400, {"error": {"message": f"This model's maximum context length is {MAX_MODEL_LEN} tokens"}}
    usage = {"prompt_tokens": tokens, "completion_tokens": 4}
    return 200, {"choices": [{"text": " Paris.", "finish_reason": "length"}], "usage": usage}


@dataclass
class Api:
    """What the stand-in answers; each may be replaced, `asked` has the bodies it got.

    Attributes:
        keys: What it takes as bearer; None among them lets everybody in.
        weights: Directory that it says it loaded the weights from.
    """

    weights: Path
    asked: list[Body] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=lambda: {KEY})
    delay_s: float = 0.0
    models: list[Body] | None = None
    version: str = f"{VERSION}+cpu"
    metrics: tuple[str, ...] = METRICS
    chat: Callable[[Body], Reply] = lambda body: chat(reasoning="Add them.", content="328.")
    tool: Callable[[Body], Reply] = lambda body: call('{"city": "Paris", "unit": "celsius"}')
    second: Callable[[Body], Reply] = second_turn
    structured: Callable[[Body], Reply] = lambda body: chat(
        reasoning="Yes.", content='{"city": "Paris", "is_capital": true}'
    )
    completion: Callable[[Body], Reply] = completion
    stream: Callable[[Body], list[str]] = lambda body: pieces(["text"]) if "prompt" in body else pieces()

    def reply(self, path: str, key: str, body: Body | None) -> Reply:
        """Answer one request; a list is sent line by line."""
        if path.startswith("/v1/") and None not in self.keys and key.removeprefix("Bearer ") not in self.keys:
            return 401, {"error": "Unauthorized"}
        if body is None:
            return self._get(path)
        self.asked.append(body)
        time.sleep(self.delay_s)
        return (200, self.stream(body)) if body.get("stream") else self._whole(path, body)

    def _whole(self, path: str, body: Body) -> Reply:
        if path == "/v1/completions":
            return self.completion(body)
        if any(message["role"] == "tool" for message in body["messages"]):
            return self.second(body)
        if "tools" in body:
            return self.tool(body)
        return self.structured(body) if "response_format" in body else self.chat(body)

    def _get(self, path: str) -> Reply:
        served = {"id": MODEL, "root": str(self.weights), "max_model_len": MAX_MODEL_LEN}
        answers: dict[str, Any] = {
            "/v1/models": {"data": [served] if self.models is None else self.models},
            "/version": {"version": self.version},
            "/metrics": "\n".join(f'{name}{{engine="0"}} 1.0' for name in self.metrics).encode(),
            "/health": b"",
        }
        return 200, answers[path]
