import json
from pathlib import Path

import pytest
import yaml
from pydantic import SecretStr

from nodestack.clouds.base import NodeRequest
from nodestack.clouds.local import seed
from nodestack.errors import CloudError
from tests.clouds.local.conftest import make_key


def request_with(private: str) -> NodeRequest:
    return NodeRequest(
        name="n1",
        shape="local",
        volume_id="v-1",
        ssh_public_key="ssh-ed25519 AAAA me",
        ssh_host_private_key=SecretStr(private),
    )


def test_a_node_gets_its_name_its_user_and_exactly_the_host_key_it_shall_have() -> None:
    host_key = make_key()
    files = seed.files(request_with(host_key.private), "n1-2-3")
    metadata = json.loads(files["/var/lib/cloud/seed/nocloud/meta-data"])
    assert metadata == {"instance-id": "n1-2-3", "local-hostname": "n1"}
    text = files["/var/lib/cloud/seed/nocloud/user-data"].decode()
    assert text.startswith("#cloud-config\n")
    data = yaml.safe_load(text)
    assert data["ssh_keys"] == {"ed25519_private": host_key.private, "ed25519_public": host_key.public}
    assert data["ssh_genkeytypes"] == []
    assert data["users"][0]["ssh_authorized_keys"] == ["ssh-ed25519 AAAA me"]


@pytest.mark.parametrize("user", ["ubuntu", "root"])
def test_root_may_log_in_where_a_cloud_has_it_so_and_nowhere_else(user: str) -> None:
    files = seed.files(request_with(make_key().private), "n1-2-3", user)
    data = yaml.safe_load(files["/var/lib/cloud/seed/nocloud/user-data"])
    assert [one["name"] for one in data["users"]] == [user]
    assert data["disable_root"] is (user != "root")


def test_a_bad_host_key_is_refused_without_showing_it() -> None:
    with pytest.raises(CloudError, match="ssh-keygen -t ed25519") as refused:
        seed.files(request_with("not a key but secret"), "n1-2-3")
    assert "secret" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_files_over_the_image_keep_its_directories_modes_and_secrets_stay_roots(tmp_path: Path) -> None:
    image, upper = tmp_path / "image", tmp_path / "upper"
    (image / "var").mkdir(parents=True)
    (image / "var").chmod(0o711)
    upper.mkdir()
    seed.place({"/var/lib/cloud/seed/nocloud/user-data": b"k", "/etc/replay/a": b"a"}, upper, image)
    assert (upper / "var").stat().st_mode & 0o777 == 0o711
    assert (upper / "etc").stat().st_mode & 0o777 == 0o755
    assert (upper / "var/lib/cloud/seed/nocloud/user-data").stat().st_mode & 0o777 == 0o600
    assert (upper / "etc/replay/a").stat().st_mode & 0o777 == 0o644
