import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nodestack.errors import SettingsError
from nodestack.provisioning import keys

# A fixed key of no use to anybody, and what follows from it: a node whose host key an older version derived must still
# be recognised.
CLIENT = (
    Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption())
    .decode()
)
CLIENT_PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
DEMO_HOST = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILwQkzDfghmKkFvzzmIS+bRUhCBPTsd6+v95bSOT03Z6"


def test_the_public_line_is_the_one_ssh_keygen_prints() -> None:
    assert keys.public_key(CLIENT) == CLIENT_PUBLIC


def test_a_host_key_stays_what_it_was_when_nodes_were_made_with_it() -> None:
    assert keys.host_key(CLIENT, "demo")[1] == DEMO_HOST


def test_a_host_key_is_the_same_each_time_and_another_for_each_name_and_client() -> None:
    client, other = keys.generate(), keys.generate()
    derived = keys.host_key(client, "a")[1]
    assert derived == keys.host_key(client, "a")[1]
    assert len({derived, keys.host_key(client, "b")[1], keys.host_key(other, "a")[1], keys.public_key(client)}) == 4


def test_the_private_part_of_a_host_key_belongs_to_its_public_line() -> None:
    private, public = keys.host_key(keys.generate(), "a")
    assert keys.public_key(private) == public


@pytest.mark.parametrize("text", ["", "no key", CLIENT[:120], CLIENT.replace("OPENSSH", "RSA")])
def test_what_is_no_key_is_refused_with_the_way_out_and_never_quoted(text: str) -> None:
    with pytest.raises(SettingsError, match="make one with `ssh-keygen") as refusal:
        keys.public_key(text)
    assert "b3BlbnNz" not in str(refusal.value)
