"""Have certificates that hold: renew what is about to expire or names another node, and tell when they end.

Prints {"changed"}. Exit 1 and one line on stderr where there is none to be had.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from nodestack_gateway import GatewayError, issuing, read_json, replace_file

SECRET = 0o600
METRIC = "nodestack_certificate_expiry_seconds"
ACME_TIMEOUT_S = 300


class Acme(NamedTuple):
    """An authority of the internet, and what it certifies.

    Attributes:
        hostname: The one DNS name.
        email: Where it writes to.
        directory: Where it is asked.
        certificate: File that the gateway reads: key and chain.
        webroot: Where the gateway looks for answers to the authority's challenges.
        state: Directory of account and certificates.
    """

    hostname: str
    email: str
    directory: str
    certificate: Path
    webroot: Path
    state: Path


class Settings(NamedTuple):
    """What is to be certified.

    Attributes:
        issuer: File with the node's issuer.
        certificate: File that the gateway reads: key and chain.
        names: DNS names and addresses, the first being the subject's.
        days: How long a certificate holds.
        renew_days: How long before its end it is renewed.
        metrics: File of the metric that tells when certificates end.
        acme: None where the stack's own authority is all.
    """

    issuer: Path
    certificate: Path
    names: tuple[str, ...]
    days: int
    renew_days: int
    metrics: Path
    acme: Acme | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Run once; return the exit status."""
    parser = argparse.ArgumentParser(prog="gateway-certificate", description="Renew the gateway's certificates.")
    parser.add_argument("--settings", type=Path, required=True)
    parser.add_argument("--own", action="store_true", help="only that of the stack's own authority")
    parser.add_argument("--check", action="store_true", help="only say whether something would change")
    given = parser.parse_args(arguments)
    settings = _settings(read_json(given.settings))
    try:
        changed = _own(settings, check=given.check)
        if settings.acme is not None:
            changed |= _stand_in(settings, settings.acme, check=given.check)
            if not given.own:
                changed |= _acme(settings.acme, check=given.check)
        if not given.check:
            _tell(settings)
    except GatewayError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    print(json.dumps({"changed": changed}))
    return 0


def _own(settings: Settings, *, check: bool) -> bool:
    issuer = issuing.load_issuer(settings.issuer)
    held = settings.certificate.read_text() if settings.certificate.exists() else ""
    if issuing.still_good(held, issuer, settings.names, timedelta(days=settings.renew_days)):
        return False
    if not check:
        replace_file(settings.certificate, issuing.issue(issuer, settings.names, timedelta(days=settings.days)), SECRET)
    return True


def _stand_in(settings: Settings, acme: Acme, *, check: bool) -> bool:
    # The gateway must serve before the authority can ask it for the proof.
    if acme.certificate.exists():
        return False
    if not check:
        replace_file(acme.certificate, settings.certificate.read_text(), SECRET)
    return True


def _acme(acme: Acme, *, check: bool) -> bool:
    live = acme.state / "live" / acme.hostname
    if not check:
        _ask(acme)
    if not (live / "fullchain.pem").exists():
        return True
    wanted = (live / "privkey.pem").read_text() + (live / "fullchain.pem").read_text()
    if wanted == acme.certificate.read_text():
        return False
    if not check:
        replace_file(acme.certificate, wanted, SECRET)
    return True


def _ask(acme: Acme) -> None:
    program = shutil.which("certbot", path="/usr/bin:/bin")
    if program is None:
        raise GatewayError("certbot is not installed: run `make up`, which installs it")
    command = [
        program, "certonly", "--non-interactive", "--agree-tos", "--quiet", "--keep-until-expiring", "--webroot",
        "--webroot-path", str(acme.webroot), "--domain", acme.hostname, "--email", acme.email,
        "--server", acme.directory, "--key-type", "ecdsa",
        "--config-dir", str(acme.state), "--work-dir", str(acme.state / "work"), "--logs-dir", str(acme.state / "logs"),
    ]  # fmt: skip
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=ACME_TIMEOUT_S)
    if ended.returncode != 0:
        said = " ".join((ended.stderr or ended.stdout).split()) or "nothing"
        raise GatewayError(
            f"{acme.directory} does not certify {acme.hostname}: {said[:600]}; the name must lead to this node, whose "
            "port 80 the authority must reach"
        )


def _tell(settings: Settings) -> None:
    files = {"gateway": settings.certificate}
    if settings.acme is not None:
        files["acme"] = settings.acme.certificate
    lines = [f"# HELP {METRIC} Unix time at which a certificate of the gateway ends.", f"# TYPE {METRIC} gauge"]
    for name, path in files.items():
        ends = issuing.expiry_of(path.read_text()).timestamp()
        lines.append(f'{METRIC}{{certificate="{name}"}} {ends:.0f}')
    text = "\n".join(lines) + "\n"
    if not settings.metrics.exists() or settings.metrics.read_text() != text:
        replace_file(settings.metrics, text)


def _settings(told: Any) -> Settings:
    acme = told["acme"]
    return Settings(
        issuer=Path(told["issuer"]),
        certificate=Path(told["certificate"]),
        names=tuple(told["names"]),
        days=told["days"],
        renew_days=told["renew_days"],
        metrics=Path(told["metrics"]),
        acme=acme
        and Acme(
            hostname=acme["hostname"],
            email=acme["email"],
            directory=acme["directory"],
            certificate=Path(acme["certificate"]),
            webroot=Path(acme["webroot"]),
            state=Path(acme["state"]),
        ),
    )


if __name__ == "__main__":
    sys.exit(main())
