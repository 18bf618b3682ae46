"""The Configuration resource without a node: bound to one machine, told from gone, and never silently left behind."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pulumi.runtime.proto.provider_pb2 import DiffResponse
from pydantic import SecretStr

from nodestack.clouds.base import NodeRequest
from nodestack.plugin.properties import UNKNOWN, Properties
from nodestack.plugin.resources.configuration_contract import ConfigurationArgs, ConfigurationOutputs
from nodestack.plugin.resources.machine import whole_document
from nodestack.provisioning import keys, reach
from nodestack.provisioning.report import NodeStatusReport, WeightsResult
from tests.commands.configured import RECORD
from tests.lifecycle.memory_cloud import MemoryCloud
from tests.plugin import inputs
from tests.plugin.engine import Engine, Existing, Failed, closed_port, plugin_over

MANIFEST = "e" * 64


@pytest.fixture
def silent() -> Iterator[tuple[Engine, dict[str, Any]]]:
    """A cloud with one running node that nobody answers on, and what is known of it."""
    cloud = MemoryCloud(address=("127.0.0.1", closed_port()))
    request = NodeRequest(name="web", shape="s", volume_id="v", ssh_public_key="k", ssh_host_private_key=SecretStr("k"))
    made = cloud.create_node(request, lambda line: None)
    node = cloud.read_node(made.node_id)
    assert node is not None
    machine = {
        "nodeId": node.node_id,
        "identity": node.identity,
        "address": node.address,
        "sshPort": node.ssh_port,
        "sshUser": "ubuntu",
        "sshHostPublicKey": keys.host_key(inputs.PRIVATE_KEY, "web")[1],
        "volumeDevice": "/dev/vdb",
    }
    with plugin_over(cloud) as engine:
        yield engine, machine


def recorded(asked: dict[str, Any], **outputs: Any) -> Existing:
    well: Properties = {"manifestSha256": MANIFEST, "modelCommit": "a" * 40, "documentSha256": "d0", "drift": []}
    return Existing("Configuration", asked["identity"], asked, well | outputs)


def test_the_inputs_of_a_program_are_right(silent: tuple[Engine, dict[str, Any]], tmp_path: Path) -> None:
    engine, machine = silent
    assert engine.check("Configuration", inputs.configuration(tmp_path, machine)) == {}


def test_every_problem_of_the_document_is_told_by_its_path(
    silent: tuple[Engine, dict[str, Any]], tmp_path: Path
) -> None:
    engine, machine = silent
    wrong = inputs.configuration(tmp_path, machine, vllm_port="http", smoke_kind="poem", vllm_prot=1)
    assert engine.check("Configuration", wrong | {"sshPort": 0}) == {
        "sshPort": "Input should be greater than 0, found 0",
        "document.vllm_port": ("Input should be a valid integer, unable to parse string as an integer, found 'http'"),
        "document.smoke_kind": "Input should be 'chat_reasoning_tools', 'chat' or 'completion', found 'poem'",
        "document.vllm_prot": "this is not known: check how it is spelt",
    }


def test_what_belongs_to_one_machine_does_not_belong_into_the_document(
    silent: tuple[Engine, dict[str, Any]], tmp_path: Path
) -> None:
    engine, machine = silent
    problems = engine.check("Configuration", inputs.configuration(tmp_path, machine, storage_device="/dev/vdb"))
    assert problems == {"document": "storage_device: set for each machine, leave out of the document"}


def test_unknown_values_are_taken_to_be_right_also_within_the_document(
    silent: tuple[Engine, dict[str, Any]], tmp_path: Path
) -> None:
    engine, machine = silent
    open_yet = dict.fromkeys(("nodeId", "identity", "address", "sshPort", "apiKeys"), UNKNOWN)
    asked = inputs.configuration(tmp_path, machine, vllm_port=UNKNOWN) | open_yet
    assert engine.check("Configuration", asked) == {}


def test_the_found_value_of_a_key_is_never_told(silent: tuple[Engine, dict[str, Any]], tmp_path: Path) -> None:
    engine, machine = silent
    problems = engine.check(
        "Configuration", inputs.configuration(tmp_path, machine) | {"apiKeys": {"default": 12345678}}
    )
    assert problems == {"apiKeys.default": "Input should be a valid string"}


def test_a_machine_that_is_gone_takes_its_configuration_with_it(engine: Engine, tmp_path: Path) -> None:
    machine = dict.fromkeys(("nodeId", "identity", "address", "sshUser", "sshHostPublicKey"), "web-1")
    asked = inputs.configuration(tmp_path, machine | {"sshPort": 22, "volumeDevice": "/dev/vdb"})
    assert engine.read(recorded(asked)) is None
    engine.delete(recorded(asked))


def test_another_machine_at_the_same_address_has_no_configuration(
    silent: tuple[Engine, dict[str, Any]], tmp_path: Path
) -> None:
    engine, machine = silent
    before = inputs.configuration(tmp_path, machine | {"identity": "id-1/earlier"})
    assert engine.read(recorded(before)) is None


def test_a_node_that_does_not_answer_is_drift_and_no_error(
    silent: tuple[Engine, dict[str, Any]], tmp_path: Path
) -> None:
    engine, machine = silent
    asked = inputs.configuration(tmp_path, machine)
    seen = engine.read(recorded(asked))
    assert seen is not None
    assert "does not answer over SSH" in str(seen.outputs["drift"])
    assert seen.outputs["manifestSha256"] == MANIFEST
    difference = engine.diff(seen, asked)
    assert (list(difference.diffs), list(difference.replaces)) == (["drift"], [])


def test_what_was_measured_on_the_node_is_taken_over_and_is_no_drift(
    silent: tuple[Engine, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, machine = silent
    asked = inputs.configuration(tmp_path, machine)
    status = NodeStatusReport.model_validate(
        {
            "identity": asked["identity"],
            "applied": {"identity": asked["identity"], "document_sha256": "d0"},
            "service": "active",
            "weights": {"commit": "a" * 40, "manifest_sha256": MANIFEST, "changed": []},
            "gateway": {"service": "active", "changed": []},
            "results": {"bench": RECORD},
        }
    )
    monkeypatch.setattr(reach, "read_status", lambda connection, timeout_s: status)
    seen = engine.read(recorded(asked))
    assert seen is not None
    assert (seen.outputs["drift"], seen.outputs["bench"]) == ([], RECORD)
    monkeypatch.undo()
    kept = engine.read(recorded(asked, bench=RECORD))
    assert kept is not None
    assert kept.outputs["bench"] == RECORD, "a node that does not answer says nothing of it either"


def test_deleting_it_never_fails_because_the_node_does_not_answer(
    silent: tuple[Engine, dict[str, Any]], tmp_path: Path
) -> None:
    engine, machine = silent
    engine.delete(recorded(inputs.configuration(tmp_path, machine)))


@pytest.mark.parametrize("name", ["identity", "nodeId"])
@pytest.mark.parametrize("value", ["another", UNKNOWN], ids=["another", "unknown"])
def test_another_machine_needs_a_configuration_of_its_own(
    silent: tuple[Engine, dict[str, Any]], tmp_path: Path, name: str, value: object
) -> None:
    engine, machine = silent
    asked = inputs.configuration(tmp_path, machine)
    difference = engine.diff(recorded(asked), asked | {name: value})
    assert (list(difference.replaces), difference.deleteBeforeReplace) == ([name], True)


def test_another_document_or_key_is_applied_to_the_same_machine(
    silent: tuple[Engine, dict[str, Any]], tmp_path: Path
) -> None:
    engine, machine = silent
    asked = inputs.configuration(tmp_path, machine)
    news = inputs.configuration(tmp_path / "moved", machine, vllm_port=8001) | {
        "apiKeys": {"default": SecretStr("sk-another")}
    }
    difference = engine.diff(recorded(asked), news)
    assert sorted(difference.detailedDiff) == ["apiKeys.default", "document.vllm_port"]
    assert list(difference.replaces) == []
    assert engine.diff(recorded(asked), inputs.configuration(tmp_path / "moved", machine)).changes == (
        DiffResponse.DIFF_NONE
    )


def failed_update(engine: Engine, before: Existing, news: dict[str, Any]) -> Failed:
    """Update and cancel at once, because a node that does not answer is waited for."""
    engine.cancel()
    with pytest.raises(Failed) as caught:
        engine.update(before, news)
    return caught.value


def test_inputs_that_never_took_effect_are_applied_by_the_next_run(
    silent: tuple[Engine, dict[str, Any]], tmp_path: Path
) -> None:
    engine, machine = silent
    asked = inputs.configuration(tmp_path, machine)
    news = inputs.configuration(tmp_path, machine, vllm_port=8001)
    failure = failed_update(engine, recorded(asked), news)
    assert failure.kept_id == machine["identity"]
    assert failure.outputs is not None
    assert failure.outputs["manifestSha256"] == MANIFEST
    assert failure.outputs["documentSha256"] == ""
    kept = Existing("Configuration", failure.kept_id, news, failure.outputs)
    assert engine.diff(kept, news).changes == DiffResponse.DIFF_SOME


def test_creating_it_for_a_machine_that_is_another_now_makes_nothing(
    silent: tuple[Engine, dict[str, Any]], tmp_path: Path
) -> None:
    engine, machine = silent
    with pytest.raises(Failed, match=r"is another machine \(id-1/nonce\) than the one to configure") as caught:
        engine.create("Configuration", inputs.configuration(tmp_path, machine | {"identity": "id-1/earlier"}))
    assert caught.value.kept_id == ""


def test_cancelling_keeps_what_was_begun_and_tells_no_secret(
    silent: tuple[Engine, dict[str, Any]], tmp_path: Path
) -> None:
    engine, machine = silent
    engine.cancel()
    with pytest.raises(Failed) as caught:
        engine.create("Configuration", inputs.configuration(tmp_path, machine))
    assert caught.value.kept_id == machine["identity"]
    assert inputs.API_KEY not in str(caught.value)
    assert "PRIVATE KEY" not in str(caught.value)


def test_a_preview_runs_nothing_and_leaves_the_proofs_open(
    silent: tuple[Engine, dict[str, Any]], tmp_path: Path
) -> None:
    engine, machine = silent
    planned = engine.create("Configuration", inputs.configuration(tmp_path, machine), preview=True)
    assert planned.outputs["smoke"] is UNKNOWN
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [({}, MANIFEST), ({"weights_commit": "b" * 40}, ""), ({"weights_repository": "another/one"}, "")],
    ids=["the same commit", "another commit", "another repository"],
)
def test_the_manifest_that_was_verified_is_expected_again_of_the_same_commit_only(
    tmp_path: Path, change: dict[str, str], expected: str
) -> None:
    machine = dict.fromkeys(("nodeId", "identity", "address", "sshUser", "sshHostPublicKey"), "web-1")
    asked = inputs.configuration(tmp_path, machine | {"sshPort": 22, "volumeDevice": "/dev/vdb"}, **change)
    args = ConfigurationArgs.model_validate(
        {name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in asked.items()}
    )
    seen = {
        "pass": True,
        "repository": inputs.DOCUMENT["weights_repository"],
        "commit": inputs.DOCUMENT["weights_commit"],
        "manifest_sha256": MANIFEST,
        "files": 9,
        "bytes": 10,
        "fetched_files": [],
        "fetched_bytes": 0,
        "seconds": 0.1,
    }
    before = ConfigurationOutputs(manifest_sha256=MANIFEST, weights=WeightsResult.model_validate(seen))
    document = whole_document(args, before)
    assert document.weights_expected_manifest_sha256 == expected
    assert (document.base_identity, document.storage_device) == ("web-1", "/dev/vdb")


def test_a_node_that_must_find_its_volume_is_told_by_which_name(engine: Engine, tmp_path: Path) -> None:
    machine = dict.fromkeys(("nodeId", "identity", "address", "sshUser", "sshHostPublicKey"), "web-1")
    asked = inputs.configuration(tmp_path, machine | {"sshPort": 22, "volumeDevice": ""}) | {"volumeHandle": "fs-7"}
    assert engine.check("Configuration", asked) == {}
    args = ConfigurationArgs.model_validate(
        {name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in asked.items()}
    )
    document = whole_document(args, ConfigurationOutputs())
    assert (document.storage_device, document.storage_volume_handle) == ("", "fs-7")


@pytest.mark.parametrize("account", [{"base_url": "https://spheron.example.com"}, {"api_key_variable": "OTHER"}])
def test_where_its_account_is_asked_is_no_reason_to_configure_a_machine_again(
    engine: Engine, tmp_path: Path, account: dict[str, str]
) -> None:
    machine = dict.fromkeys(("nodeId", "identity", "address", "sshUser", "sshHostPublicKey"), "web-1")
    asked = inputs.configuration(tmp_path, machine | {"sshPort": 22, "volumeDevice": "/dev/vdb"})
    before, after = (asked | {"account": {"kind": "spheron", **more}} for more in ({}, account))
    difference = engine.diff(Existing("Configuration", "web-1", before, {}), after)
    assert list(difference.diffs) == []


def test_a_state_of_another_version_is_read_as_if_nothing_were_known(
    silent: tuple[Engine, dict[str, Any]], tmp_path: Path
) -> None:
    engine, machine = silent
    asked = inputs.configuration(tmp_path, machine)
    seen = engine.read(recorded(asked, fabric={"verdict": "fine"}, tomorrow=1))
    assert seen is not None
    assert seen.outputs["drift"]


@pytest.mark.parametrize(
    ("news", "changed"),
    [
        ({}, []),
        ({"expectedManifestSha256": MANIFEST}, []),
        ({"expectedManifestSha256": "0" * 64}, ["expectedManifestSha256"]),
    ],
    ids=["none known", "the one that was verified", "another one"],
)
def test_expecting_what_was_verified_is_no_other_configuration(
    engine: Engine, tmp_path: Path, news: dict[str, str], changed: list[str]
) -> None:
    machine = dict.fromkeys(("nodeId", "identity", "address", "sshUser", "sshHostPublicKey"), "web-1")
    asked = inputs.configuration(tmp_path, machine | {"sshPort": 22, "volumeDevice": "/dev/vdb"})
    outputs: dict[str, Any] = {"manifestSha256": MANIFEST}
    difference = engine.diff(Existing("Configuration", "web-1", asked, outputs), {**asked, **news})
    assert list(difference.diffs) == changed


def test_a_digest_of_the_settings_outlives_what_this_resource_has_seen(engine: Engine, tmp_path: Path) -> None:
    machine = dict.fromkeys(("nodeId", "identity", "address", "sshUser", "sshHostPublicKey"), "web-1")
    asked = inputs.configuration(tmp_path, machine | {"sshPort": 22, "volumeDevice": ""})
    asked |= {"expectedManifestSha256": "1" * 64}
    assert engine.check("Configuration", asked) == {}
    assert "expectedManifestSha256" in engine.check("Configuration", asked | {"expectedManifestSha256": "main"})
    args = ConfigurationArgs.model_validate(
        {name: value.get_secret_value() if isinstance(value, SecretStr) else value for name, value in asked.items()}
    )
    assert whole_document(args, ConfigurationOutputs()).weights_expected_manifest_sha256 == "1" * 64
