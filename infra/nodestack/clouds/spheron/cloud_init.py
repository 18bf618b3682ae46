"""What a Spheron node is given for its first boot: the one SSH host key that it is known by beforehand."""

from typing import Any

from pydantic import SecretStr

HOST_KEY = "/etc/ssh/nodestack_host_key"
"""Not named like the keys that cloud-init deletes when it makes its own."""

_CONFIGURATION = "/etc/ssh/sshd_config.d/00-nodestack.conf"


def with_host_key(private_pem: SecretStr) -> dict[str, Any]:
    """Return `cloudInit` of an order: files are written before sshd first starts, so it never shows another key.

    Args:
        private_pem: OpenSSH PEM of the host key.
    """
    return {
        "writeFiles": [
            {"path": HOST_KEY, "content": private_pem.get_secret_value(), "owner": "root:root", "permissions": "0600"},
            {
                "path": _CONFIGURATION,
                "content": f"HostKey {HOST_KEY}\n",
                "owner": "root:root",
                "permissions": "0644",
            },
        ],
        # Some providers write the files late.
        "runcmd": ["systemctl reload-or-restart ssh || systemctl reload-or-restart sshd"],
    }
