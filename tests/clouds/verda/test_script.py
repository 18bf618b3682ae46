"""The startup script puts the host key in place, run by a real shell in a directory of its own."""

import os
import stat
import subprocess
from pathlib import Path

from pydantic import SecretStr

from nodestack.clouds.verda.script import startup_script
from nodestack.provisioning import keys


def test_the_host_key_is_in_place_before_ssh_restarts(tmp_path: Path) -> None:
    private, public = keys.host_key(keys.generate(), "demo-node")
    tools, etc = tmp_path / "tools", tmp_path / "etc"
    tools.mkdir()
    etc.mkdir()
    (etc / "ssh_host_ed25519_key").write_text("the image's own")
    (tools / "systemctl").write_text(f"#!/bin/sh\nssh-keygen -y -f {etc}/ssh_host_ed25519_key >{tmp_path}/restarted\n")
    (tools / "systemctl").chmod(0o755)
    script = startup_script(SecretStr(private)).get_secret_value().replace("/etc/ssh", str(etc))
    subprocess.run(["bash", "-c", script], check=True, env={"PATH": f"{tools}:{os.environ['PATH']}"})
    assert (tmp_path / "restarted").read_text().split()[:2] == public.split()[:2]
    assert (etc / "ssh_host_ed25519_key.pub").read_text().split()[:2] == public.split()[:2]
    assert stat.S_IMODE((etc / "ssh_host_ed25519_key").stat().st_mode) == 0o600
    assert {path.name for path in etc.iterdir()} == {"ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"}


def test_the_script_is_a_secret() -> None:
    assert "the-key" not in repr(startup_script(SecretStr("the-key")))
