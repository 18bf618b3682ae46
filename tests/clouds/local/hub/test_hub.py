"""The hub against the real client, over real HTTP."""

import hashlib
import time
from pathlib import Path

import httpx
import pytest
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from nodestack.clouds.local import tiny_model
from nodestack.clouds.local.hub import git
from tests import hubs

SHARD = "model-00002-of-00005.safetensors"
UNKNOWN_COMMIT = "0123456789abcdef0123456789abcdef01234567"


def resolve_url(hub: hubs.Hub, path: str, revision: str = tiny_model.COMMIT) -> str:
    return f"{hub.endpoint}/{tiny_model.REPOSITORY}/resolve/{revision}/{path}"


def test_the_files_of_a_commit_come_with_the_sizes_and_hashes_of_what_is_served(hub: hubs.Hub) -> None:
    info = HfApi(hub.endpoint, token=False).model_info(
        tiny_model.REPOSITORY, revision=tiny_model.COMMIT, files_metadata=True
    )

    assert info.sha == tiny_model.COMMIT
    siblings = info.siblings or []
    assert {sibling.rfilename for sibling in siblings} == {path.name for path in tiny_model.checkpoint().iterdir()}
    for sibling in siblings:
        content = (tiny_model.checkpoint() / sibling.rfilename).read_bytes()
        assert sibling.size == len(content)
        if sibling.lfs is None:
            assert sibling.blob_id == git.blob_id(content)
        else:
            assert sibling.lfs.sha256 == hashlib.sha256(content).hexdigest()


def test_main_is_the_newest_commit(hub: hubs.Hub) -> None:
    assert HfApi(hub.endpoint, token=False).model_info(tiny_model.REPOSITORY).sha == tiny_model.NEXT_COMMIT


def test_a_snapshot_is_the_checkpoint_byte_for_byte(hub: hubs.Hub, tmp_path: Path) -> None:
    snapshot_download(
        tiny_model.REPOSITORY, revision=tiny_model.COMMIT, endpoint=hub.endpoint, local_dir=tmp_path, token=False
    )

    for original in tiny_model.checkpoint().iterdir():
        assert (tmp_path / original.name).read_bytes() == original.read_bytes()


def test_a_single_file_can_be_had_by_branch(hub: hubs.Hub, tmp_path: Path) -> None:
    path = hf_hub_download(tiny_model.REPOSITORY, "config.json", endpoint=hub.endpoint, local_dir=tmp_path, token=False)

    assert Path(path).read_bytes() == (tiny_model.checkpoint() / "config.json").read_bytes()


def test_what_is_missing_is_refused_as_the_real_hub_refuses_it(hub: hubs.Hub) -> None:
    api = HfApi(hub.endpoint, token=False)

    with pytest.raises(RepositoryNotFoundError):
        api.model_info("nodestack/no-such-model")
    with pytest.raises(RevisionNotFoundError):
        api.model_info(tiny_model.REPOSITORY, revision=UNKNOWN_COMMIT)
    with pytest.raises(EntryNotFoundError):
        api.hf_hub_download(tiny_model.REPOSITORY, "no-such-file", revision=tiny_model.COMMIT)


@pytest.mark.parametrize(
    ("asked", "status", "start", "end"),
    [
        ("bytes=0-", 200, 0, None),
        ("bytes=10-19", 206, 10, 20),
        ("bytes=1000-", 206, 1000, None),
        ("bytes=-5", 206, -5, None),
        ("bytes=990000-99999999", 206, 990000, None),
    ],
)
def test_a_range_is_answered_with_exactly_that_range(
    hub: hubs.Hub, asked: str, status: int, start: int, end: int | None
) -> None:
    content = (tiny_model.checkpoint() / SHARD).read_bytes()

    answer = httpx.get(resolve_url(hub, SHARD), headers={"Range": asked})

    assert answer.status_code == status
    assert answer.content == content[start:end]


def test_a_range_beyond_the_end_is_refused_with_the_size(hub: hubs.Hub) -> None:
    size = (tiny_model.checkpoint() / SHARD).stat().st_size

    answer = httpx.get(resolve_url(hub, SHARD), headers={"Range": f"bytes={size}-"})

    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{size}")


def test_a_head_names_commit_hash_and_size_and_no_xet_storage(hub: hubs.Hub) -> None:
    content = (tiny_model.checkpoint() / SHARD).read_bytes()

    headers = httpx.head(resolve_url(hub, SHARD)).headers

    assert headers["X-Repo-Commit"] == tiny_model.COMMIT
    assert headers["X-Linked-Etag"] == headers["ETag"] == f'"{hashlib.sha256(content).hexdigest()}"'
    assert headers["X-Linked-Size"] == headers["Content-Length"] == str(len(content))
    assert not [name for name in headers if name.startswith("x-xet")]


def test_a_path_that_leaves_the_repository_finds_nothing(hub: hubs.Hub) -> None:
    assert httpx.get(resolve_url(hub, "..%2Frefs.json")).status_code == 404
    assert httpx.get(f"{hub.endpoint}/api/models/..%2F..%2Fetc").status_code in {401, 404}
    assert httpx.get(resolve_url(hub, "config.json", revision="..")).status_code == 404


def test_the_log_has_range_status_and_bytes_but_never_the_token(hub: hubs.Hub) -> None:
    httpx.get(resolve_url(hub, SHARD), headers={"Range": "bytes=5-9", "Authorization": "Bearer hf_very_secret"})

    entry = hub.request(range="bytes=5-9")

    assert (entry["method"], entry["status"], entry["bytes"]) == ("GET", 206, 5)
    assert entry["path"].endswith(SHARD)
    assert "hf_very_secret" not in hub.log.read_text()


def test_a_private_hub_wants_its_own_token(tmp_path: Path) -> None:
    token_file = tmp_path / "token"
    token_file.write_text("hf_right\n")
    with hubs.running(tmp_path, "--token-file", str(token_file)) as private:
        assert HfApi(private.endpoint, token="hf_right").model_info(tiny_model.REPOSITORY).sha  # noqa: S106
        with pytest.raises(GatedRepoError):
            HfApi(private.endpoint, token=False).model_info(tiny_model.REPOSITORY)
        with pytest.raises(HfHubHTTPError) as refusal:
            HfApi(private.endpoint, token="hf_wrong").model_info(tiny_model.REPOSITORY)  # noqa: S106
        assert refusal.value.response.status_code == 401


def test_faults_cut_fail_slow_and_stall_as_often_as_asked(tmp_path: Path) -> None:
    with hubs.running(tmp_path) as hub:
        hub.go_wrong({"path": "*/config.json", "status": 503}, {"path": f"*/{SHARD}", "cut_after_bytes": 300_000})

        assert [httpx.get(resolve_url(hub, "config.json")).status_code for _ in range(2)] == [503, 200]
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(resolve_url(hub, SHARD))
        assert hub.request(bytes=300_000)["status"] == 200
        assert httpx.get(resolve_url(hub, SHARD)).status_code == 200

        hub.go_wrong({"path": "*/config.json", "stall_after_bytes": 0, "stall_s": 0.5})
        began = time.monotonic()
        httpx.get(resolve_url(hub, "config.json"))
        assert time.monotonic() - began > 0.5


def test_a_rate_bounds_how_fast_a_body_is_sent(tmp_path: Path) -> None:
    with hubs.running(tmp_path) as hub:
        hub.go_wrong({"path": f"*/{SHARD}", "bytes_per_s": 2_000_000})
        began = time.monotonic()
        content = httpx.get(resolve_url(hub, SHARD)).content
        assert time.monotonic() - began > 0.4
        assert content == (tiny_model.checkpoint() / SHARD).read_bytes()
