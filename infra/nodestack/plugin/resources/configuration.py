"""The Configuration resource: what the playbooks make of one machine; bound to the machine's identity."""

import shlex
from typing import TYPE_CHECKING

from nodestack.clouds.accounts import log_directory
from nodestack.errors import CloudError, NodestackError, ReachError
from nodestack.lifecycle import nodes
from nodestack.plugin.diff import Difference, changed_paths
from nodestack.plugin.properties import Properties
from nodestack.plugin.resources.base import Call, Made, Resource
from nodestack.plugin.resources.configuration_contract import ConfigurationArgs, ConfigurationOutputs
from nodestack.plugin.resources.drift import drift
from nodestack.plugin.resources.machine import connection, node_secrets, require_machine, whole_document

if TYPE_CHECKING:
    from nodestack.provisioning.playbook import Provisioned

_READ_TIMEOUT_S = 10.0
_REACHABLE_TIMEOUT_S = 600
_STOP_MARGIN_S = 30
_EXPECTED = "expectedManifestSha256"
_REPLACES = frozenset({"nodeId", "identity", "account.kind"})


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
        require_machine(args, call.open_account(args.account))
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
            status = reach.read_status(connection(args), _READ_TIMEOUT_S)
            found = drift(
                status,
                identity=args.identity,
                document_sha256=outputs.document_sha256,
                manifest_sha256=outputs.manifest_sha256,
            )
        except (CloudError, ReachError) as error:
            return outputs.model_copy(update={"drift": (str(error),)})
        # A measurement is the operator's doing, and no difference: what the node says of it is taken over as it is.
        measured = status.results.bench if status else outputs.bench
        return outputs.model_copy(update={"drift": tuple(found), "bench": measured})

    def update(
        self, resource_id: str, args: ConfigurationArgs, outputs: ConfigurationOutputs, call: Call
    ) -> Made[ConfigurationOutputs]:
        """Apply the document again: whatever is as it should be stays untouched."""
        try:
            require_machine(args, call.open_account(args.account))
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
        from nodestack.provisioning import authority, playbook, reach  # noqa: PLC0415

        reached, document = connection(args), whole_document(args, before)
        secrets = node_secrets(args, document)

        def work() -> playbook.Provisioned:
            reach.wait_for_node(
                reached, timeout_s=_REACHABLE_TIMEOUT_S, progress=call.progress, cancelled=call.cancelled
            )
            return playbook.apply(
                reached,
                document,
                secrets,
                log_directory=log_directory(args.account),
                progress=call.progress,
                cancelled=call.cancelled,
            )

        try:
            done = call.run(work)
        except Exception as error:
            return _failed(args, before, error)
        call.progress(f"verified and serving {args.document.vllm_served_model_name}")
        client_key = args.ssh_private_key.get_secret_value()
        own_authority = "" if document.gateway_acme_email else authority.certificate(client_key)
        return Made(args.identity, _outputs(done).model_copy(update={"ca_certificate": own_authority}))


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
        bench=results.bench,
        document_sha256=done.status.applied.document_sha256 if done.status.applied else "",
        phases=done.phases,
    )


def _failed(args: ConfigurationArgs, before: ConfigurationOutputs, error: Exception) -> Made[ConfigurationOutputs]:
    # Without the digest the next Read finds drift even where the node still shows what was applied before: the new
    # inputs are recorded with the failure, and nothing else would tell that they never took effect.
    outputs = before.model_copy(update={"drift": ("the last configuration did not end well",), "document_sha256": ""})
    return Made(args.identity, outputs, error)


def _stop_service(args: ConfigurationArgs, call: Call) -> None:
    from nodestack.provisioning import reach  # noqa: PLC0415

    node = nodes.observe(call.open_account(args.account), args.node_id)
    if node is None or node.identity != args.identity:
        return
    with reach.session(connection(args)) as opened:
        status = reach.status_of(opened, _READ_TIMEOUT_S)
        engine = status.results.engine if status else None
        # Another machine may answer at this address with the same host key: only the configured one is stopped.
        if status is None or engine is None or status.identity != args.identity or status.service != "active":
            return
        call.progress(f"stopping {engine.unit}")
        opened.run(
            f"sudo -n systemctl stop {shlex.quote(engine.unit)}",
            # Once before the engine is told to end, and as long again by the engine itself.
            2 * args.document.vllm_shutdown_timeout_s + _STOP_MARGIN_S,
        )
