import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import SecretStr

from nodestack.clouds import hubs
from nodestack.clouds.base import Account, LocalAccount, SpheronAccount
from nodestack.clouds.local import tiny_model
from nodestack.errors import CatalogError

ACCOUNT = LocalAccount(directory="/nowhere")
SIMULATED = SpheronAccount(base_url="http://127.0.0.1:1")
LOCAL_HUB = "http://127.0.0.1:8090"
UNKNOWN = "0" * 40


class Hub(BaseHTTPRequestHandler):
    """Has one repository with no commits but the one of zeros, and wants a token."""

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != "Bearer hf_right" or "/known/" not in self.path:
            self.refuse(404, "RepoNotFound")
        elif not self.path.endswith(UNKNOWN):
            self.refuse(404, "RevisionNotFound")
        else:
            self.send_response(200)
            self.end_headers()

    def refuse(self, status: int, code: str) -> None:
        self.send_response(status)
        self.send_header("X-Error-Code", code)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Stay quiet."""


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def ask(endpoint: str, repository: str, commit: str, *, trusted: bool = True) -> str:
    return hubs._ask(endpoint, repository, commit, SecretStr("hf_right") if trusted else None)


@pytest.mark.parametrize("account", [ACCOUNT, SIMULATED])
def test_the_hub_of_nodes_on_this_machine_has_the_tiny_model_and_no_other_commit(account: Account) -> None:
    assert hubs.require_pin(account, LOCAL_HUB, tiny_model.REPOSITORY, tiny_model.COMMIT, None)
    with pytest.raises(CatalogError, match=f"at commit {UNKNOWN} cannot be had from {LOCAL_HUB}: .* no such commit"):
        hubs.require_pin(account, LOCAL_HUB, tiny_model.REPOSITORY, UNKNOWN, None)
    with pytest.raises(CatalogError, match="there is no such repository"):
        hubs.require_pin(account, LOCAL_HUB, "nodestack/other", tiny_model.COMMIT, None)


def test_a_real_clouds_node_has_no_hub_that_this_machine_could_look_at() -> None:
    assert not hubs.require_pin(SpheronAccount(), "http://127.0.0.1:1", tiny_model.REPOSITORY, UNKNOWN, None)


def test_a_remote_hub_is_asked_with_the_token(hub: str) -> None:
    assert ask(hub, "known/model", UNKNOWN) == ""
    assert ask(hub, "known/model", UNKNOWN, trusted=False) == "RepoNotFound"
    assert ask(hub, "known/model", "1" * 40) == "RevisionNotFound"
    assert ask(hub, "other/model", UNKNOWN) == "RepoNotFound"


def test_a_hub_that_cannot_be_reached_from_here_is_left_to_the_node() -> None:
    assert ask("http://localhost:9", "known/model", UNKNOWN) not in {"", "RepoNotFound"}
