"""What the engine is told about the provider as a whole, and how errors reach it."""

from pathlib import Path

import pytest
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import provider_pb2 as protocol
from pydantic import SecretStr

from nodestack.clouds.base import Volume
from nodestack.errors import AmbiguousError
from nodestack.plugin.properties import decode, encode
from tests.lifecycle.memory_cloud import MemoryCloud
from tests.plugin import inputs
from tests.plugin.engine import Engine, Existing, Failed, plugin_over


def test_secrets_are_taken_and_given_wrapped(engine: Engine) -> None:
    assert engine.stub.Handshake(protocol.ProviderHandshakeRequest(engine_address="127.0.0.1:1")).accept_secrets
    configured = engine.stub.Configure(protocol.ConfigureRequest())
    assert (configured.acceptSecrets, configured.supportsPreview) == (True, True)


def test_nothing_of_the_stacks_configuration_ends_up_in_the_provider(engine: Engine) -> None:
    news = encode({"version": "0.1.0", "api_key": SecretStr(inputs.API_KEY), "model": "{}"})
    answer = engine.stub.CheckConfig(protocol.CheckRequest(urn="urn:provider", news=news))
    assert decode(answer.inputs) == {"version": "0.1.0"}


def test_no_configuration_of_the_provider_replaces_what_it_made(engine: Engine) -> None:
    request = protocol.DiffRequest(urn="urn:provider", olds=encode({"model": "a"}), news=encode({"model": "b"}))
    assert engine.stub.DiffConfig(request).changes == protocol.DiffResponse.DIFF_NONE


def test_a_resource_that_does_not_exist_is_named_with_those_that_do(engine: Engine) -> None:
    with pytest.raises(Failed, match=r"no resource nodestack:index:Cluster, only nodestack:index:Configuration, "):
        engine.create("Cluster", {})


def test_the_version_is_told(engine: Engine) -> None:
    assert engine.stub.GetPluginInfo(Empty()).version == "0.1.0"


def test_import_is_refused_with_what_to_do_instead(engine: Engine) -> None:
    with pytest.raises(Failed, match="what bears its name is adopted"):
        engine.read(Existing("Volume", "v-1", {}, {}))


class Unclear(MemoryCloud):
    def read_volume(self, volume_id: str) -> Volume | None:
        raise AmbiguousError("the list of volumes came back without an end")


def test_an_unclear_answer_to_read_keeps_what_is_recorded(tmp_path: Path) -> None:
    with plugin_over(Unclear()) as engine:
        recorded = Existing("Volume", "v-1", inputs.volume(tmp_path), {"volumeId": "v-1", "sizeGib": 1})
        assert engine.read(recorded) == recorded


class Broken(MemoryCloud):
    def find_volume(self, name: str) -> Volume | None:
        raise RuntimeError(f"the client said {inputs.API_KEY}")


def test_a_mistake_of_ours_is_told_as_one_and_without_its_text(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with (
        plugin_over(Broken()) as engine,
        pytest.raises(Failed, match="failed unexpectedly with RuntimeError") as caught,
    ):
        engine.create("Volume", inputs.volume(tmp_path))
    printed = capfd.readouterr()
    assert inputs.API_KEY not in caught.value.message + printed.out + printed.err
    assert "test_servicer.py" in printed.err


def test_a_secret_in_a_problem_is_hidden(engine: Engine, tmp_path: Path) -> None:
    news = inputs.volume(tmp_path) | {"name": SecretStr("Not A Name")}
    assert engine.check("Volume", news)["name"].endswith("found '[secret]'")
