"""An evaluation to begin with: asks the questions of a file, and scores how many answers hold what they must.

    nodestack evaluate --stack dev --minimum 0.8 -- .venv/bin/python examples/evaluation/ask.py my_questions.jsonl

Put questions of your own work there, a line each: {"question": "...", "must_match": "a regular expression"}. A request
that fails ends it, and nothing is recorded: an endpoint with errors has no score.
"""

import argparse
import json
import os
import re
import ssl
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

QUESTIONS = Path(__file__).with_name("questions.jsonl")
TIMEOUT_S = 1800


def main() -> None:
    """Ask all, a few at once, and write the score where `nodestack evaluate` reads it."""
    options = parser().parse_args()
    lines = options.questions.read_text(encoding="utf-8").splitlines()
    asked = [json.loads(line) for line in lines if line.strip()]
    if not asked:
        parser().error(f"{options.questions} has no questions")
    trust = ssl.create_default_context(cafile=os.environ.get("NODESTACK_CA_FILE"))
    key = Path(os.environ["NODESTACK_API_KEY_FILE"]).read_text(encoding="utf-8")
    with (
        httpx.Client(
            base_url=os.environ["NODESTACK_BASE_URL"],
            headers={"Authorization": f"Bearer {key}"},
            timeout=TIMEOUT_S,
            verify=trust,
        ) as client,
        ThreadPoolExecutor(options.concurrency) as workers,
    ):
        right = 0
        answers = workers.map(lambda one: answer(client, one["question"], options.max_tokens), asked)
        for number, (one, text) in enumerate(zip(asked, answers, strict=True), 1):
            right += bool(re.search(one["must_match"], text))
            print(f"{number} of {len(asked)} asked, {right} right", file=sys.stderr)
    told = {"score": right / len(asked), "figures": {"questions": len(asked), "right": right}}
    Path(os.environ["NODESTACK_RESULT_FILE"]).write_text(json.dumps(told), encoding="utf-8")


def answer(client: httpx.Client, question: str, max_tokens: int) -> str:
    """Return what the model answers; its reasoning is none, and neither is what it did not come to.

    Raises:
        httpx.HTTPError: The request failed.
    """
    body = {
        "model": os.environ["NODESTACK_MODEL"],
        "messages": [{"role": "user", "content": question}],
        "max_tokens": max_tokens,
        "temperature": 0,
    }
    reply = client.post("/chat/completions", json=body).raise_for_status()
    return str(reply.json()["choices"][0]["message"]["content"] or "")


def parser() -> argparse.ArgumentParser:
    """Return what it can be told."""
    description, *_ = (__doc__ or "").splitlines()
    made = argparse.ArgumentParser(description=description)
    made.add_argument("questions", nargs="?", type=Path, default=QUESTIONS, help=f"default: {QUESTIONS.name} beside it")
    made.add_argument("--max-tokens", type=int, default=4096, help="of an answer, reasoning included (default: 4096)")
    made.add_argument("--concurrency", type=int, default=4, help="requests at once (default: 4)")
    return made


if __name__ == "__main__":
    main()
