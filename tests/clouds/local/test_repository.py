"""The node's package repository, as a real process."""

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest


@pytest.fixture
def server(tmp_path: Path) -> Iterator[httpx.Client]:
    """Return a client of a server whose directories have blanks in their paths."""
    apt, wheels = tmp_path / "an apt", tmp_path / "some wheels"
    apt.mkdir()
    wheels.mkdir()
    (apt / "InRelease").write_text("signed")
    (wheels / "vllm-0.23.0+cpu-cp311-abi3-manylinux_2_28_x86_64.whl").write_bytes(b"wheel")
    (wheels / "build.log").write_text("no wheel")
    (tmp_path / "secret").write_text("outside")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "nodestack.clouds.local.repository", "--port", str(port)]
    with subprocess.Popen([*command, "--apt", apt, "--wheels", wheels]) as process:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}") as client:
            _until_it_answers(client)
            yield client
        process.terminate()


def _until_it_answers(client: httpx.Client) -> None:
    for _ in range(300):
        try:
            client.get("/apt/InRelease")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the server does not answer")


def test_packages_are_served_below_apt(server: httpx.Client) -> None:
    assert server.get("/apt/InRelease").text == "signed"
    assert server.get("/apt/missing").status_code == 404


def test_wheels_have_a_flat_index_with_links_that_work(server: httpx.Client) -> None:
    page = server.get("/wheels/").text
    assert '<a href="vllm-0.23.0%2Bcpu-cp311-abi3-manylinux_2_28_x86_64.whl">' in page
    assert "build.log" not in page
    assert server.get("/wheels/vllm-0.23.0%2Bcpu-cp311-abi3-manylinux_2_28_x86_64.whl").content == b"wheel"
    assert server.get("/wheels", follow_redirects=True).text == page


@pytest.mark.parametrize("path", ["/apt/../secret", "/apt/%2e%2e/secret", "/wheels/..%2fsecret", "/"])
def test_nothing_else_is_served(server: httpx.Client, path: str) -> None:
    assert server.get(path).status_code == 404
