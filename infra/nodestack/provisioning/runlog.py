"""The log of a run: what Ansible printed, without secrets, readable by its owner only; the last runs are kept."""

import os
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from nodestack.provisioning.events import PlayEvent
from nodestack.provisioning.reach import Connection
from nodestack.provisioning.workspace import Secrets

KEPT_RUNS = 10
_SHORTEST_SECRET = 4


class RunLog:
    """A log file of mode 0600; secrets that a task prints in spite of all are struck out.

    Attributes:
        path: Where the file is.
    """

    def __init__(self, directory: Path, playbook: str, secrets: Secrets, connection: Connection) -> None:
        private = connection.private_key.get_secret_value().splitlines()[1:-1]
        # Only its private key, which is the first block: the certificates are public.
        issuer = secrets.issuer.get_secret_value().partition("-----END")[0].splitlines()[1:]
        api_keys = [key.get_secret_value() for key in secrets.api_keys.values()]
        optional = [secret.get_secret_value() for secret in (secrets.hub_token, secrets.alert_secret) if secret]
        known = [*private, *issuer, *api_keys, *optional]
        # Longest first: one secret may be part of another. A very short one would strike out half of the text.
        self._secrets = sorted((text for text in known if len(text) >= _SHORTEST_SECRET), key=len, reverse=True)
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = directory / f"{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}-{playbook}.log"
        for old in sorted(directory.glob(f"*-{playbook}.log"))[: 1 - KEPT_RUNS]:
            old.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        self._file = os.fdopen(os.open(self.path, os.O_CREAT | os.O_APPEND | os.O_WRONLY, 0o600), "a")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def note(self, line: str) -> PlayEvent:
        """Log one line of the child; return it as the event it is, or as output where it is none."""
        try:
            event = PlayEvent.model_validate_json(line)
        except ValidationError:
            event = PlayEvent(kind="output", output=line.rstrip())
        if event.output:
            self._file.write(self.redact(event.output).rstrip() + "\n")
            self._file.flush()
        return event

    def redact(self, text: str) -> str:
        """Return a text without the secrets of this run."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text
