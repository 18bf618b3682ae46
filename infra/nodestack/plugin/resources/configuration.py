"""The Configuration resource: what the playbooks make of one machine; bound to the machine's identity."""

import shlex
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field, SecretStr

from nodestack.clouds.accounts import log_directory
from nodestack.errors import CloudError, NodestackError, ReachError
from nodestack.lifecycle import nodes
from nodestack.plugin.diff import Difference, changed_paths
from nodestack.plugin.properties import Properties
from nodestack.plugin.resources.base import Args, Call, Made, Resource, Typed
from nodestack.plugin.resources.drift import drift
from nodestack.provisioning.document import MACHINE_FIELDS, NodeDocument
from nodestack.provisioning.report import DriverResult, EngineResult, FabricResult, SmokeResult, WeightsResult

if TYPE_CHECKING:
    from nodestack.provisioning.playbook import Provisioned
    from nodestack.provisioning.reach import Connection

_READ_TIMEOUT_S = 10.0
_REACHABLE_TIMEOUT_S = 600
_STOP_MARGIN_S = 30
_EXPECTED = "expectedManifestSha256"
_REPLACES = frozenset({"nodeId", "identity", "account.kind"})


def _without_machine(document: object) -> object:
    """Fill the fields that belong to one machine and run with nothing, so that the rest is checked as what it is."""
    if not isinstance(document, dict):
        return document
    if given := sorted(MACHINE_FIELDS & document.keys()):
        raise ValueError(f"{', '.join(given)}: set for each machine, leave out of the document")
    return document | dict.fromkeys(MACHINE_FIELDS, "")


class ConfigurationArgs(Args):
    """A configuration to be had.

    Attributes:
        node_id: The cloud's id of the machine.
        identity: The very machine; another one behind the same id or address needs a configuration of its own.
        address: IP address that takes SSH.
        ssh_port: TCP port of SSH.
        ssh_user: Login name, may sudo without a password.
        ssh_host_public_key: The one host key to accept.
        volume_device: Block device of the weights volume; "" where only the node can tell.
        volume_handle: What the node may see of the volume's name, by which it is found there; "" where not known.
        ssh_private_key: The key that logs in.
        api_key: Key that clients of the engine present.
        hub_token: Token for the hub of the weights.
        document: What site.yml applies, without the machine's own fields.
        expected_manifest_sha256: Digest of the commit's manifest, where it is known beforehand; "" where not.
    """

    node_id: Annotated[str, Field(min_length=1)]
    identity: Annotated[str, Field(min_length=1)]
    address: Annotated[str, Field(min_length=1)]
    ssh_port: Annotated[int, Field(gt=0, lt=65536)]
    ssh_user: Annotated[str, Field(min_length=1)]
    ssh_host_public_key: Annotated[str, Field(min_length=1)]
    volume_device: Annotated[str, Field(pattern=r"^(/dev/|$)")]
    volume_handle: str = ""
    ssh_private_key: SecretStr
    api_key: Annotated[SecretStr, Field(min_length=1)]
    hub_token: SecretStr | None = None
    document: Annotated[NodeDocument, BeforeValidator(_without_machine)]
    expected_manifest_sha256: Annotated[str, Field(pattern=r"^([0-9a-f]{64})?$")] = ""


class ConfigurationOutputs(Typed):
    """What was proved about the machine, and whether it still holds.

    Attributes:
        manifest_sha256: Digest of the manifest the weights were verified against.
        model_commit: Commit of the weights.
        engine_version: Version of the engine that serves.
        fabric: The fabric gate's verdict.
        smoke: The smoke test's result.
        weights: What was fetched and verified.
        driver: The driver that runs.
        engine: The engine and its options.
        drift: What is not as it was; empty when all is well.
        document_sha256: Digest of the document that was applied; "" when the last run did not end well.
        phases: Seconds each role took when it last ran.
    """

    manifest_sha256: str = ""
    model_commit: str = ""
    engine_version: str = ""
    fabric: FabricResult | None = None
    smoke: SmokeResult | None = None
    weights: WeightsResult | None = None
    driver: DriverResult | None = None
    engine: EngineResult | None = None
    drift: tuple[str, ...] = ()
    document_sha256: str = ""
    phases: dict[str, float] = Field(default_factory=dict)


class Configuration(Resource[ConfigurationArgs, ConfigurationOutputs]):
    """Applies site.yml to a machine, sees when what it made has changed, and stops the service at the end."""

    token = "nodestack:index:Configuration"  # noqa: S105 - a resource type, no secret
    args_type = ConfigurationArgs
    outputs_type = ConfigurationOutputs

    def diff(self, old_inputs: Properties, news: Properties, outputs: ConfigurationOutputs) -> Difference:
        """Replace for another machine; run again for other inputs and for drift."""
        # Another machine has another identity, another way to it another address: the account says neither.
        paths = changed_paths(old_inputs, news)
        changed = [path for path in paths if path in _REPLACES or not path.startswith("account.")]
        if news.get(_EXPECTED) in ("", None, outputs.manifest_sha256):
            # What was verified is expected from now on: that is no other configuration.
            changed = [path for path in changed if path != _EXPECTED]
        replaces = tuple(path for path in changed if path in _REPLACES)
        updates = tuple(path for path in changed if path not in _REPLACES)
        return Difference(updates=updates, replaces=replaces, observed=("drift",) if outputs.drift else ())

    def create(self, args: ConfigurationArgs, call: Call) -> Made[ConfigurationOutputs]:
        """Apply the document to the machine."""
        _require_machine(args, call)
        return self._apply(args, ConfigurationOutputs(), call)

    def read(
        self, resource_id: str, args: ConfigurationArgs, outputs: ConfigurationOutputs, call: Call
    ) -> ConfigurationOutputs | None:
        """Ask cloud and node; a machine that is there but does not answer is drift, not an error."""
        from nodestack.provisioning import reach  # noqa: PLC0415 - paramiko costs more than the plugin's start

        try:
            node = nodes.observe(call.open_account(args.account), args.node_id)
            if node is None or node.identity != args.identity:
                return None
            status = reach.read_status(_connection(args), _READ_TIMEOUT_S)
            found = drift(
                status,
                identity=args.identity,
                document_sha256=outputs.document_sha256,
                manifest_sha256=outputs.manifest_sha256,
            )
        except (CloudError, ReachError) as error:
            found = [str(error)]
        return outputs.model_copy(update={"drift": tuple(found)})

    def update(
        self, resource_id: str, args: ConfigurationArgs, outputs: ConfigurationOutputs, call: Call
    ) -> Made[ConfigurationOutputs]:
        """Apply the document again: whatever is as it should be stays untouched."""
        try:
            _require_machine(args, call)
        except NodestackError as error:
            return _failed(args, outputs, error)
        return self._apply(args, outputs, call)

    def delete(self, resource_id: str, args: ConfigurationArgs, outputs: ConfigurationOutputs, call: Call) -> None:
        """Stop the service so that requests in flight may finish; a machine that is gone or silent is no error."""
        try:
            call.run(lambda: _stop_service(args, call))
        except NodestackError as error:
            call.progress(f"the service was not stopped: {error}")

    def _apply(self, args: ConfigurationArgs, before: ConfigurationOutputs, call: Call) -> Made[ConfigurationOutputs]:
        from nodestack.provisioning import playbook, reach  # noqa: PLC0415

        connection = _connection(args)

        def work() -> playbook.Provisioned:
            reach.wait_for_node(
                connection, timeout_s=_REACHABLE_TIMEOUT_S, progress=call.progress, cancelled=call.cancelled
            )
            return playbook.apply(
                connection,
                whole_document(args, before),
                playbook.Secrets(api_key=args.api_key, hub_token=args.hub_token),
                log_directory=log_directory(args.account),
                progress=call.progress,
                cancelled=call.cancelled,
            )

        try:
            done = call.run(work)
        except Exception as error:
            return _failed(args, before, error)
        call.progress(f"verified and serving {args.document.vllm_served_model_name}")
        return Made(args.identity, _outputs(done))


def _outputs(done: "Provisioned") -> ConfigurationOutputs:
    results = done.status.results
    return ConfigurationOutputs(
        manifest_sha256=results.weights.manifest_sha256 if results.weights else "",
        model_commit=results.weights.commit if results.weights else "",
        engine_version=results.engine.version if results.engine else "",
        fabric=results.fabric,
        smoke=results.smoke,
        weights=results.weights,
        driver=results.driver,
        engine=results.engine,
        document_sha256=done.status.applied.document_sha256 if done.status.applied else "",
        phases=done.phases,
    )


def _failed(args: ConfigurationArgs, before: ConfigurationOutputs, error: Exception) -> Made[ConfigurationOutputs]:
    # Without the digest the next Read finds drift even where the node still shows what was applied before: the new
    # inputs are recorded with the failure, and nothing else would tell that they never took effect.
    outputs = before.model_copy(update={"drift": ("the last configuration did not end well",), "document_sha256": ""})
    return Made(args.identity, outputs, error)


def whole_document(args: ConfigurationArgs, before: ConfigurationOutputs) -> NodeDocument:
    """Return the whole document; the manifest digest of this very commit is expected again once it was seen.

    That of the stack's own settings counts for more: it outlives this resource.
    """
    seen = before.weights
    same = seen is not None and (seen.repository, seen.commit) == (
        args.document.weights_repository,
        args.document.weights_commit,
    )
    seen_sha256 = before.manifest_sha256 if same else ""
    return args.document.model_copy(
        update={
            "base_identity": args.identity,
            "storage_device": args.volume_device,
            "storage_volume_handle": args.volume_handle,
            "weights_expected_manifest_sha256": args.expected_manifest_sha256 or seen_sha256,
        }
    )


def _connection(args: ConfigurationArgs) -> "Connection":
    from nodestack.provisioning.reach import Connection  # noqa: PLC0415

    return Connection(
        address=args.address,
        port=args.ssh_port,
        user=args.ssh_user,
        host_public_key=args.ssh_host_public_key,
        private_key=args.ssh_private_key,
    )


def _require_machine(args: ConfigurationArgs, call: Call) -> None:
    node = nodes.observe(call.open_account(args.account), args.node_id)
    if node is None:
        raise CloudError(f"node {args.node_id} is gone: run again, it is made anew and then configured")
    if node.identity != args.identity:
        raise CloudError(
            f"node {args.node_id} is another machine ({node.identity}) than the one to configure ({args.identity}): "
            "run again, the configuration is then made for the new one"
        )


def _stop_service(args: ConfigurationArgs, call: Call) -> None:
    from nodestack.provisioning import reach  # noqa: PLC0415

    node = nodes.observe(call.open_account(args.account), args.node_id)
    if node is None or node.identity != args.identity:
        return
    with reach.session(_connection(args)) as opened:
        status = reach.status_of(opened, _READ_TIMEOUT_S)
        engine = status.results.engine if status else None
        # Another machine may answer at this address with the same host key: only the configured one is stopped.
        if status is None or engine is None or status.identity != args.identity or status.service != "active":
            return
        call.progress(f"stopping {engine.unit}")
        opened.run(
            f"sudo -n systemctl stop {shlex.quote(engine.unit)}",
            args.document.vllm_shutdown_timeout_s + _STOP_MARGIN_S,
        )
