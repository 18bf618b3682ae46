"""A stack's life for its user: prepare, up, down, purge, outputs, key."""

import json
import os
import secrets
from pathlib import Path
from typing import Any

from nodestack.automation import backend, files, private, simulation
from nodestack.automation.checkout import PROJECT, Checkout
from nodestack.automation.engine_call import Engine
from nodestack.errors import NodestackError, RecoveryError
from nodestack.provisioning import keys


def prepare(checkout: Checkout, stack: str) -> None:
    """Make sure the stack, its passphrase and its secrets exist; changes nothing that is there.

    Raises:
        NodestackError: There is neither a stack file nor a template of that name.
        RecoveryError: The stack has secrets but its passphrase is gone.
    """
    stack_file = checkout.stack_file(stack)
    if not stack_file.exists():
        _from_template(checkout, stack)
    _ensure_passphrase(checkout, stack)
    engine = Engine(checkout, stack)
    if not backend.exists(checkout, stack):
        checkout.backend.mkdir(mode=private.DIRECTORY, parents=True, exist_ok=True)
        engine.ask("stack", "init", *_secrets_provider(checkout, stack))
    ensure_secrets(checkout, stack)


def ensure_secrets(checkout: Checkout, stack: str) -> None:
    """Generate each secret that the stack file lacks; existing ones stay as they are."""
    config = files.document(checkout, stack)["config"]
    wanted = {"api_key": lambda: f"sk-{secrets.token_urlsafe(32)}", "ssh_private_key": keys.generate}
    if files.section(checkout, stack, "cloud").get("kind") == "local" or simulation.account_of(checkout, stack):
        # The hub of this machine's nodes wants a token as a gated repository does: so its way here is a tested one.
        wanted["hub_token"] = lambda: f"hf_{secrets.token_urlsafe(24)}"
    for name, generate in wanted.items():
        if f"{PROJECT}:{name}" not in config:
            Engine(checkout, stack).ask("config", "set", "--secret", f"{PROJECT}:{name}", stdin=generate())


def outputs(checkout: Checkout, stack: str) -> dict[str, Any]:
    """Return the stack's outputs, secrets left out; empty before the first up.

    Of the checkout's own backend they are read from its file, which the engine takes ten times as long for.
    """
    if not backend.is_own(checkout):
        return dict(json.loads(Engine(checkout, stack).ask("stack", "output", "--json")))
    resources = checkout.latest(stack).get("resources") or []
    root: dict[str, Any] = next((resource for resource in resources if resource["type"] == "pulumi:pulumi:Stack"), {})
    return dict(root.get("outputs") or {})


def api_key(checkout: Checkout, stack: str) -> str:
    """Return the key that clients of the endpoint send."""
    return Engine(checkout, stack).ask("config", "get", f"{PROJECT}:api_key").strip()


def up(checkout: Checkout, stack: str, *, yes: bool, settings: Path | None = None) -> int:
    """Bring the stack up and return the engine's exit status; its outputs are left to `outputs`.

    Args:
        checkout: Where it is declared.
        stack: Its name.
        yes: Do not preview and ask.
        settings: File with other settings than the stack's own, for this run alone.
    """
    backend.keep_copy(checkout, stack)
    other = [] if settings is None else ["--config-file", str(settings)]
    return Engine(checkout, stack).stream("up", "--suppress-outputs", *other, *_unasked(yes))


def record_manifest(checkout: Checkout, stack: str) -> str:
    """Have the stack's settings expect what was verified from now on; return the commit that is news, "" for none.

    The settings outlive the node and its configuration: after `down`, a volume whose files and record of them were both
    replaced is refused all the same.
    """
    found = outputs(checkout, stack)
    commit, digest = found.get("model_commit"), found.get("manifest_sha256")
    model = files.section(checkout, stack, "model")
    if not commit or not digest or commit in (model.get("manifests") or {}):
        return ""
    Engine(checkout, stack).ask("config", "set", "--path", f'{PROJECT}:model.manifests["{commit}"]', digest)
    return str(commit)


def down(checkout: Checkout, stack: str, *, yes: bool) -> int:
    """Tear down all but the weights volume and return the engine's exit status."""
    backend.keep_copy(checkout, stack)
    return Engine(checkout, stack).stream("destroy", "--exclude-protected", "--suppress-outputs", *_unasked(yes))


def purge(checkout: Checkout, stack: str) -> int:
    """Tear down everything, the weights volume included; the caller has asked."""
    backend.keep_copy(checkout, stack)
    engine = Engine(checkout, stack)
    engine.ask("state", "unprotect", "--all", "--yes")
    return engine.stream("destroy", "--suppress-outputs", *_unasked(True))


def _secrets_provider(checkout: Checkout, stack: str) -> list[str]:
    """Return who encrypts a new stack's secrets, where its file says so: a passphrase does otherwise."""
    named = files.document(checkout, stack).get("secretsprovider")
    return ["--secrets-provider", str(named)] if named else []


def _unasked(yes: bool) -> list[str]:
    return ["--yes", "--skip-preview"] if yes else []


def _from_template(checkout: Checkout, stack: str) -> None:
    template = checkout.template(stack)
    if not template.exists():
        known = sorted(path.stem for path in template.parent.glob("*.yaml"))
        raise NodestackError(
            f"there is no stack {stack!r}: no {checkout.stack_file(stack).name}; known: {', '.join(known)}"
        )
    target = checkout.stack_file(stack)
    private.write(target, simulation.with_port(template.read_text(encoding="utf-8")))


def _ensure_passphrase(checkout: Checkout, stack: str) -> None:
    if {
        "PULUMI_CONFIG_PASSPHRASE",
        "PULUMI_CONFIG_PASSPHRASE_FILE",
    } & os.environ.keys() or checkout.passphrase.exists():
        return
    if "encryptionsalt" in checkout.stack_file(stack).read_text(encoding="utf-8"):
        raise RecoveryError(
            f"the passphrase of stack {stack} is missing: put it back into {checkout.passphrase}, "
            "or set PULUMI_CONFIG_PASSPHRASE; nothing was changed"
        )
    checkout.state.mkdir(mode=private.DIRECTORY, parents=True, exist_ok=True)
    private.write(checkout.passphrase, secrets.token_urlsafe(32))
