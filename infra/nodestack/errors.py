"""Everything nodestack refuses or fails with, as one tree.

NodestackError
├── SettingsError        a stack asks for something that is not allowed
├── CatalogError         a fact is missing or malformed
├── PlanError            the plan cannot work: the model does not fit, an option is unknown
├── CloudError           a cloud said no, or something nobody can act on safely
│   ├── HostUnsuitable   this machine cannot hold local nodes
│   ├── AmbiguousError   the cloud's state is unclear: nothing is created, nothing forgotten
│   │   └── DuplicateName    two things bear the one name: only a person may say which is meant
│   ├── VolumeInUse      a volume cannot be attached, shrunk or deleted now
│   ├── OutOfStock       an offer is gone: another one may do
│   ├── NameTaken        something of this name exists already
│   ├── InsufficientBalance  the account cannot pay
│   └── MinimumRuntime   a node is too young to be deleted
├── ReachError           a node does not answer as it should over SSH
│   └── WrongHostKey     a node answers with another host key than this stack's
├── ProvisioningError    a playbook failed, with the role and task that said so
├── RecoveryError        a former run left something only a person may judge
└── Interrupted          the user or the engine asked to stop
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError


def parts_of(invalid: "ValidationError") -> list[str]:
    """Return what pydantic finds wrong, `place: why` of each."""
    return [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in invalid.errors()]


class NodestackError(Exception):
    """Base of all errors that are meant for a person: one line, what to do included."""


class SettingsError(NodestackError):
    """A stack's settings are wrong; the message lists every problem, one a line."""


class CatalogError(NodestackError):
    """A catalogue entry is missing or malformed."""


class PlanError(NodestackError):
    """What was asked for cannot work; the message shows why."""


class CloudError(NodestackError):
    """A cloud refused, or failed in a way a retry does not cure."""


class HostUnsuitable(CloudError):
    """This machine cannot hold local nodes: not root, or systemd-nspawn is unusable."""


class AmbiguousError(CloudError):
    """The cloud's answer leaves open whether something exists; state is kept as it is."""


class DuplicateName(AmbiguousError):
    """Two things of an account bear a name that only one may have; asking again does not make it clear."""


class VolumeInUse(CloudError):
    """A volume is attached elsewhere, or would lose data."""


class OutOfStock(CloudError):
    """The cloud has none left of what an offer sells; nothing was made."""


class NameTaken(CloudError):
    """The cloud made nothing, since something of that name exists."""


class InsufficientBalance(CloudError):
    """The account's money does not suffice; nothing was made."""


class MinimumRuntime(CloudError):
    """A node cannot be deleted yet.

    Attributes:
        remaining_minutes: How long the cloud says that is so; rounded up by it.
    """

    def __init__(self, message: str, *, remaining_minutes: float) -> None:
        super().__init__(message)
        self.remaining_minutes = remaining_minutes


class ReachError(NodestackError):
    """A node does not answer over SSH, or answers with the wrong host key."""


class WrongHostKey(ReachError):
    """A node answers with another host key than the one that follows from this stack's key; nothing was sent to it."""


class ProvisioningError(NodestackError):
    """A playbook failed.

    Attributes:
        role: The role that failed, or "" outside any role.
        task: The task's name.
    """

    def __init__(self, message: str, *, role: str = "", task: str = "") -> None:
        super().__init__(message)
        self.role = role
        self.task = task


class RecoveryError(NodestackError):
    """What a former run left behind cannot be cleared without a person's judgement."""


class Interrupted(NodestackError):
    """Stopped on request; what exists is kept and the next run continues from it."""
