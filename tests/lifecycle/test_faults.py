"""Whatever call fails and however: never two nodes of one name, no volume lost, and the next run gets through."""

from threading import Event

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from pydantic import SecretStr

from nodestack.clouds.base import Node, NodeRequest, Progress, VolumeRequest
from nodestack.errors import CloudError
from nodestack.lifecycle import nodes, volumes
from nodestack.lifecycle.pace import Pace
from tests.lifecycle.memory_cloud import Fault, MemoryCloud

FAST = Pace(timeout_s=0.2, poll_s=0.0001)


def reachable(node: Node, progress: Progress, cancelled: Event) -> None:
    assert node.address


class Runs(RuleBasedStateMachine):
    """One stack is brought up, changed and torn down again and again, by a client whose calls go wrong anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.cloud = MemoryCloud(boot_polls=1)
        self.ever_held: set[str] = set()

    @rule(
        after_calls=st.integers(0, 12),
        fault=st.sampled_from([None, *Fault]),
        shape=st.sampled_from(["small", "large"]),
        size_gib=st.integers(1, 3),
    )
    def up(self, after_calls: int, fault: Fault | None, shape: str, size_gib: int) -> None:
        if fault:
            self.cloud.fail(after_calls, fault)
        try:
            volume, node = self._up(shape, size_gib)
        except CloudError:
            assert fault, "nothing was made to fail"
        else:
            assert self.cloud.nodes[node.node_id].shape == shape
            assert self.cloud.volumes[volume].size_gib >= size_gib
        finally:
            self.cloud.heal()

    @rule(after_calls=st.integers(0, 4), fault=st.sampled_from([None, *Fault]))
    def down(self, after_calls: int, fault: Fault | None) -> None:
        if fault:
            self.cloud.fail(after_calls, fault)
        try:
            for node_id in list(self.cloud.nodes):
                nodes.delete_until_gone(self.cloud, node_id, progress=lambda line: None, cancelled=Event(), pace=FAST)
        except CloudError:
            assert fault, "nothing was made to fail"
        else:
            assert not self.cloud.nodes
        finally:
            self.cloud.heal()

    @rule()
    def preempt(self) -> None:
        for node_id in list(self.cloud.nodes):
            self.cloud.vanish(node_id)

    @rule()
    def the_next_run_without_faults_gets_through(self) -> None:
        _, node = self._up("small", 1)
        assert list(self.cloud.nodes) == [node.node_id]

    @invariant()
    def there_are_never_two_of_one_name(self) -> None:
        assert len(self.cloud.nodes) <= 1
        assert len(self.cloud.volumes) <= 1

    @invariant()
    def no_volume_is_ever_lost(self) -> None:
        self.ever_held |= self.cloud.volumes.keys()
        assert self.ever_held == self.cloud.volumes.keys()
        assert not self.cloud.asked_to_delete

    def _up(self, shape: str, size_gib: int) -> tuple[str, Node]:
        request = VolumeRequest(name="weights", size_gib=size_gib)
        volume = volumes.ensure(self.cloud, request, progress=lambda line: None, cancelled=Event())
        node = nodes.ensure(
            self.cloud,
            NodeRequest(
                name="web",
                shape=shape,
                volume_id=volume.volume_id,
                ssh_public_key="ssh-ed25519 A",
                ssh_host_private_key=SecretStr("k"),
            ),
            wait=reachable,
            progress=lambda line: None,
            cancelled=Event(),
            boot=FAST,
        )
        return volume.volume_id, node


Runs.TestCase.settings = settings(max_examples=120, stateful_step_count=20, deadline=None)
TestRuns = Runs.TestCase
