"""The startup script of an instance: the SSH host key that is known beforehand."""

from pydantic import SecretStr

_SCRIPT = """\
#!/bin/bash
# Puts the SSH host key in place that this node is known by.
set -eu
umask 077
cat >/etc/ssh/ssh_host_ed25519_key.new <<'END'
{private}
END
ssh-keygen -y -f /etc/ssh/ssh_host_ed25519_key.new >/etc/ssh/ssh_host_ed25519_key.pub
chmod 644 /etc/ssh/ssh_host_ed25519_key.pub
mv /etc/ssh/ssh_host_ed25519_key.new /etc/ssh/ssh_host_ed25519_key
systemctl restart ssh.service || systemctl restart sshd.service
"""


def startup_script(host_private_key: SecretStr) -> SecretStr:
    """Return the script as one secret: it holds the host's private key, OpenSSH PEM."""
    return SecretStr(_SCRIPT.format(private=host_private_key.get_secret_value().strip()))
