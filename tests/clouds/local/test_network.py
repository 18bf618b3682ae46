import socket

import pytest

from nodestack.clouds.local import network
from nodestack.errors import HostUnsuitable


@pytest.fixture(autouse=True)
def addresses_of_our_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_ADDRESSES", ("127.78.0.1", "127.78.0.2"))


def test_an_address_is_given_to_one_node_at_a_time() -> None:
    first, second = network.claim_address(), network.claim_address()
    assert [first.ip, second.ip] == ["127.78.0.1", "127.78.0.2"]
    with pytest.raises(HostUnsuitable, match="delete nodes"):
        network.claim_address()
    first.release()
    third = network.claim_address()
    assert third.ip == first.ip
    second.release()
    third.release()


def test_ssh_moves_to_another_port_where_the_host_took_its_own() -> None:
    with socket.socket() as taken:
        taken.bind(("127.78.0.1", 22))
        taken.listen(1)
        address = network.claim_address()
    assert (address.ip, address.ssh_port) == ("127.78.0.1", 2222)
    address.release()


def test_an_address_whose_engine_port_is_taken_is_left_alone() -> None:
    with socket.socket() as taken:
        taken.bind(("127.78.0.1", network.SERVICE_PORT))
        taken.listen(1)
        address = network.claim_address()
    assert address.ip == "127.78.0.2"
    address.release()


def test_a_forward_that_takes_connections_but_says_nothing_is_no_ssh_server() -> None:
    with socket.socket() as silent:
        silent.bind(("127.78.0.1", 0))
        silent.listen(1)
        assert not network.answers_ssh("127.78.0.1", silent.getsockname()[1], timeout_s=0.1)


def test_the_way_out_never_leads_to_the_hosts_loopback() -> None:
    assert "--disable-host-loopback" in network.slirp_command()
