"""How a node differs from what was made of it, as sentences; an empty list means all is well."""

from collections.abc import Iterator

from nodestack.provisioning.report import CurrentGateway, CurrentWeights, NodeStatusReport, Results, SmokeResult

_NAMED_FILES = 3


def drift(status: NodeStatusReport | None, *, identity: str, document_sha256: str, manifest_sha256: str) -> list[str]:
    """Return what is not as it was when the configuration last ended well.

    Args:
        status: What the node says, None where it has nothing to say.
        identity: The machine the configuration is bound to.
        document_sha256: Digest of the document that was applied; "" when the last run did not end well.
        manifest_sha256: Digest of the manifest the weights were verified against; "" when none was recorded.
    """
    if status is None:
        return ["the node was not configured yet, or by another version of nodestack"]
    return [
        *_applied(status, identity, document_sha256),
        *([] if status.service == "active" else [f"the service is {status.service}"]),
        *_weights(status.weights, manifest_sha256),
        *_gateway(status.gateway),
        *_results(status.results),
        # Of a service that does not run there is nothing to add.
        *(_probe(status.results.probe) if status.service == "active" else []),
    ]


def _applied(status: NodeStatusReport, identity: str, document_sha256: str) -> Iterator[str]:
    if status.identity != identity:
        yield f"the node calls itself {status.identity or 'nothing yet'}, it was configured as {identity}"
    if not document_sha256:
        yield "the last configuration did not end well"
    elif status.applied is None:
        yield "a configuration was begun and did not end"
    elif (status.applied.identity, status.applied.document_sha256) != (identity, document_sha256):
        yield "another configuration was applied since"


def _weights(weights: CurrentWeights | None, manifest_sha256: str) -> Iterator[str]:
    if weights is None:
        yield "no weights are in place"
        return
    if manifest_sha256 and weights.manifest_sha256 != manifest_sha256:
        yield "the weights are others than those that were verified"
    if weights.changed:
        named = ", ".join(weights.changed[:_NAMED_FILES])
        more = len(weights.changed) - _NAMED_FILES
        yield f"weight files changed or are missing since they were verified: {named}" + (
            f" and {more} more" if more > 0 else ""
        )


def _gateway(gateway: CurrentGateway | None) -> Iterator[str]:
    if gateway is None:
        yield "no gateway was brought up"
        return
    if gateway.service != "active":
        yield f"the gateway is {gateway.service}"
    if gateway.changed:
        yield f"the gateway's files are not those that it runs with: {', '.join(gateway.changed)}"


def _results(results: Results) -> Iterator[str]:
    gates = {
        "driver": results.driver,
        "fabric": results.fabric,
        "weights": results.weights,
        "engine": results.engine,
        "smoke": results.smoke,
    }
    for name, result in gates.items():
        if result is not None and not result.passed:
            yield f"the {name} check did not pass when it last ran"


def _probe(probe: SmokeResult | None) -> Iterator[str]:
    if probe is not None and not probe.passed:
        bad = next((check for check in probe.checks if not check.passed), None)
        yield f"the node's own smoke test failed at {probe.at}" + (
            f", {bad.check}: expected {bad.expected}, seen {bad.seen}" if bad else ""
        )
