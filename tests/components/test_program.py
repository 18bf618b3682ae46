"""The components under Pulumi's mock monitor: what is declared, with which protection and secrecy."""

from typing import Any

import pulumi
import pytest
from pulumi.runtime.mocks import MockMonitor
from pulumi.runtime.rpc import deserialize_properties

from nodestack.clouds.base import LocalAccount
from nodestack.components.gpu_node import GpuNode, GpuNodeArgs
from nodestack.components.serving import Serving, ServingArgs
from nodestack.components.weights_volume import WeightsVolume, WeightsVolumeArgs

ACCOUNT = LocalAccount(directory="/var/lib/somewhere")


class Outputs(pulumi.runtime.Mocks):
    """Outputs are the inputs and what a cloud would add."""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[Any, Any]]:
        return f"{args.name}-id", {**args.inputs, "volumeId": "vol-1", "identity": "node-1/abc"}

    def call(self, args: pulumi.runtime.MockCallArgs) -> tuple[dict[Any, Any], list[tuple[str, str]] | None]:
        return {}, None


class Recorder(MockMonitor):
    """Keeps the engine's requests: protection and dependencies are there, and nowhere else."""

    def __init__(self) -> None:
        super().__init__(Outputs())
        self.declared: dict[str, Any] = {}

    def RegisterResource(self, request: Any) -> Any:
        self.declared[request.type] = request
        return super().RegisterResource(request)  # type: ignore[no-untyped-call]

    def inputs(self, kind: str) -> dict[str, Any]:
        return dict(deserialize_properties(self.declared[f"nodestack:index:{kind}"].object))


@pytest.fixture
def recorder() -> Recorder:
    recorder = Recorder()
    pulumi.runtime.set_mocks(Outputs(), project="nodestack", stack="test", monitor=recorder)
    return recorder


@pulumi.runtime.test  # type: ignore[untyped-decorator]
def declare() -> Any:
    volume = WeightsVolume("weights", WeightsVolumeArgs(ACCOUNT, "nodestack-test-weights", 16))
    node = GpuNode(
        "node",
        GpuNodeArgs(ACCOUNT, "nodestack-test-node", "local", volume.volume_id, pulumi.Output.secret("pem"), "h", 60),
    )
    document = {"vllm_options": {"max-model-len": 1024}, "weights_commit": "0" * 40}
    secret = pulumi.Output.secret
    serving = Serving(
        "serving", ServingArgs(ACCOUNT, volume, node, secret("pem"), secret({"default": "key"}), None, None, document)
    )
    return serving.configuration.manifestSha256


def test_the_volume_depends_on_nothing_and_is_protected(recorder: Recorder) -> None:
    declare()
    volume = recorder.declared["nodestack:index:Volume"]
    assert volume.protect
    assert list(volume.dependencies) == []


def test_a_configuration_is_bound_to_the_identity_of_its_machine(recorder: Recorder) -> None:
    declare()
    assert recorder.inputs("Configuration")["identity"] == "node-1/abc"


def test_ansible_variables_reach_the_plugin_under_their_own_names(recorder: Recorder) -> None:
    declare()
    document = recorder.inputs("Configuration")["document"]
    assert document == {"vllm_options": {"max-model-len": 1024}, "weights_commit": "0" * 40}


def test_cost_and_options_are_no_inputs_of_the_node(recorder: Recorder) -> None:
    declare()
    inputs = set(recorder.inputs("Node"))
    assert inputs == {"account", "name", "shape", "volumeId", "sshPrivateKey", "hardwareProfile"}
