"""The simulated cloud of a stack that names one: its server is started when needed, and ended when it holds nothing."""

import json
import os
import random
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import ValidationError

import nodestack
from nodestack.automation.checkout import PROJECT, Checkout
from nodestack.clouds.accounts import SpheronAccount, VerdaAccount, is_simulated, key_variables
from nodestack.clouds.local.cache import locked
from nodestack.clouds.local.machines import INHERITED
from nodestack.clouds.local.records import started_at
from nodestack.clouds.simulated.kept import Home, ServerRecord
from nodestack.errors import NodestackError
from nodestack.stack_file import config_in

OPEN_PORT = "http://127.0.0.1:0"
"""What a template has for the base URL: a free port takes its place when the stack's file is made."""

Simulable: TypeAlias = SpheronAccount | VerdaAccount
"""An account whose cloud can be simulated."""

_ACCOUNTS: dict[str, type[Simulable]] = {"spheron": SpheronAccount, "verda": VerdaAccount}
_BALANCE_USD = 100_000.0
_START_PATIENCE_S = 30.0
_STOP_PATIENCE_S = 15.0
_RELEASE_PATIENCE_S = 5.0
_POLL_S = 0.05
_TIMEOUT_S = 30.0
# Below those that the kernel gives to whoever asks for any: found free once, it mostly stays so.
_PORTS = range(20_000, 30_000)


def with_port(template: str) -> str:
    """Return a stack's template with a free port of this machine where it leaves that open.

    >>> with_port("base_url: https://api.verda.com/v1")
    'base_url: https://api.verda.com/v1'
    """
    if OPEN_PORT not in template:
        return template
    port = next(port for port in random.sample(_PORTS, len(_PORTS)) if not _is_taken(port))
    return template.replace(OPEN_PORT, OPEN_PORT.removesuffix("0") + str(port))


def account_of(checkout: Checkout, stack: str) -> Simulable | None:
    """Return the simulated account that a stack's file names; None where it names another cloud."""
    with suppress(FileNotFoundError):
        path = checkout.stack_file(stack)
        text = path.read_text(encoding="utf-8")
        if not any(kind in text for kind in _ACCOUNTS):
            # YAML takes its time, and most commands of most stacks come by here.
            return None
        cloud = config_in(text, str(path.relative_to(checkout.root))).get(f"{PROJECT}:cloud")
        known = _ACCOUNTS.get(str(cloud.get("kind"))) if isinstance(cloud, dict) else None
        # What is wrong there otherwise is told, with all else, by whoever reads all settings.
        with suppress(ValidationError):
            if known is not None and is_simulated(account := known.model_validate(cloud)):
                return account
    return None


def start(checkout: Checkout, stack: str) -> str:
    """Make sure that the stack's simulated cloud answers; return at which scheme, host and port, "" for another cloud.

    A server that somebody else runs at the address is theirs: it is used as any cloud is, with the user's own key.

    Raises:
        NodestackError: It does not start, or another program has taken its port.
    """
    account = account_of(checkout, stack)
    if account is None:
        return ""
    home = _home(checkout, stack)
    with locked(_lock(checkout, stack)):
        if home.server() is None:
            port = _port(account)
            known = home.directory.exists()
            # One of ours that was killed keeps the port until the last of its threads has gone.
            if not _until(lambda: not _is_taken(port), _RELEASE_PATIENCE_S if known else 0):
                if known:
                    raise NodestackError(
                        f"{account.base_url}, the address of stack {stack}'s simulated cloud, is taken by another "
                        f"program: end that one (ss -ltnp), or set another port in {checkout.stack_file(stack)}"
                    )
                return _origin(account)
            _launch(account.kind, home, port)
    return _origin(account)


def credentials(checkout: Checkout, stack: str) -> dict[str, str]:
    """Return the environment variables with the simulated account's keys; none for a stack of another cloud."""
    home = _home(checkout, stack)
    if not home.directory.exists():
        return {}
    account = account_of(checkout, stack)
    return {} if account is None else {text: home.key(name) for name, text in key_variables(account).items()}


def is_ended(checkout: Checkout, stack: str) -> bool:
    """Return whether a stack's simulated cloud is one that holds nothing any more, and answers nobody."""
    account = account_of(checkout, stack)
    return account is not None and not _home(checkout, stack).directory.exists() and not _is_taken(_port(account))


def end_if_empty(checkout: Checkout, stack: str) -> list[str]:
    """End a stack's simulated cloud and remove all of it where its account holds nothing; return what was done."""
    home = _home(checkout, stack)
    if not home.directory.exists():
        return []
    with locked(_lock(checkout, stack)):
        server = home.server()
        if server is not None:
            held = _held(server)
            if held:
                return [f"the simulated cloud at {server.base_url} goes on: it holds {', '.join(held)}"]
            _stop(server)
        shutil.rmtree(home.directory)
    _lock(checkout, stack).unlink()
    with suppress(OSError):
        home.directory.parent.rmdir()
    return [] if server is None else [f"the simulated cloud at {server.base_url} held nothing and was ended"]


def _home(checkout: Checkout, stack: str) -> Home:
    return Home(checkout.state / "simulated" / stack)


def _lock(checkout: Checkout, stack: str) -> Path:
    return checkout.state / "simulated" / f"{stack}.lock"


def _launch(kind: str, home: Home, port: int) -> None:
    home.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
    environment["PYTHONPATH"] = str(Path(nodestack.__file__).parents[1])
    server = [sys.executable, "-P", "-m", "nodestack.clouds.simulated", kind, "--keep", str(home.directory)]
    ended, alive = os.pipe()
    try:
        with home.log.open("ab") as log:
            subprocess.run(
                ["setsid", "--fork", *server, "--port", str(port), "--balance-usd", str(_BALANCE_USD)],
                cwd="/",
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[alive],
                check=True,
            )
        os.close(alive)
        # Its end of the pipe is closed when it ends: nobody is its parent who could tell.
        _until(lambda: home.server() is not None or bool(select.select([ended], [], [], 0)[0]), _START_PATIENCE_S)
    finally:
        os.close(ended)
    if home.server() is None:
        raise NodestackError(f"the simulated cloud did not start within {_START_PATIENCE_S:g} s: see {home.log}")


def _held(server: ServerRecord) -> list[str]:
    with urllib.request.urlopen(f"{server.base_url}/_control/report", timeout=_TIMEOUT_S) as answer:  # noqa: S310
        report: dict[str, Any] = json.load(answer)
    return [*report["alive"], *report["volumes"]]


def _stop(server: ServerRecord) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.kill(server.pid, number)
        if _until(lambda: started_at(server.pid) != server.start_ticks, _STOP_PATIENCE_S):
            return


def _origin(account: Simulable) -> str:
    return urlsplit(account.base_url)._replace(path="").geturl()


def _port(account: Simulable) -> int:
    return urlsplit(account.base_url).port or 80


def _is_taken(port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _until(done: Callable[[], bool], patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
