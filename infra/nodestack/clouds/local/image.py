"""The image all local nodes boot from: the host's own distribution, equipped as a provider's GPU image is."""

import re
from pathlib import Path

from nodestack.clouds.base import Frozen, Progress
from nodestack.clouds.local import commands
from nodestack.clouds.local.cache import cached
from nodestack.errors import HostUnsuitable

PACKAGES = Path(__file__).with_name("image_packages.txt")
HOST_CERTIFICATES = Path("/usr/local/share/ca-certificates")
OS_RELEASE = Path("/etc/os-release")

_POCKETS = ("", "-updates", "-security")
_COMPONENTS = ("main", "universe")
# How this host reaches its mirror; the node reaches it in the same way.
_APT_SETTINGS = re.compile(
    r'^(Acquire::(?:https?::Proxy|Check-Valid-Until|Check-Date|Retries)) "([^"]+)";$', re.MULTILINE
)
_TARGET_FORMAT = "$(REPO_URI) $(RELEASE) $(COMPONENT) $(ORIGIN)"
_CLOUD_INIT = """\
datasource_list: [NoCloud]
network: {config: disabled}
locale: false
manage_etc_hosts: localhost
"""
# Said here and not by cloud-init, which would restart the server just when the first connection came in.
_SSHD = "PasswordAuthentication no\n"
# Left to itself, apt's timer takes apt's lock minutes after boot, just when the node is being configured.
_CUSTOMIZE = """\
set -eu
root="$1"
rm -f "$root"/etc/ssh/ssh_host_*
: > "$root/etc/machine-id"
: > "$root/etc/fstab"
rm -f "$root/etc/resolv.conf" "$root/etc/hostname"
printf 'nameserver 10.0.2.3\\n' > "$root/etc/resolv.conf"
chroot "$root" update-ca-certificates
chroot "$root" systemctl mask apt-daily.timer apt-daily-upgrade.timer
"""

# A killed builder must not leave a program behind that goes on writing where the next builder starts.
_ENDING_WITH_US = (
    "setpriv", "--pdeathsig", "KILL", "unshare", "--fork", "--pid", "--kill-child", "--mount", "--mount-proc",
    "env", "LC_ALL=C.UTF-8",
)  # fmt: skip


class Recipe(Frozen):
    """Everything the image depends on; the same recipe is the same image.

    Attributes:
        codename: Release of the distribution.
        sources: Lines of sources.list.
        apt_settings: Lines of apt.conf.
        packages: What is installed.
        certificates: Name and PEM text of the host's own certificate authorities.
        cloud_init: Configuration of cloud-init.
        sshd: Configuration of the SSH server.
        customize: Script run at the end with the root as its argument.
    """

    codename: str
    sources: tuple[str, ...]
    apt_settings: tuple[str, ...]
    packages: tuple[str, ...]
    certificates: tuple[tuple[str, str], ...]
    cloud_init: str = _CLOUD_INIT
    sshd: str = _SSHD
    customize: str = _CUSTOMIZE


def directory(progress: Progress = lambda line: None) -> Path:
    """Return the directory of the image's root file system, building it where it is missing (60-90 s).

    Raises:
        HostUnsuitable: apt on this host names no mirror of its own distribution.
        CloudError: The build failed.
    """
    recipe = host_recipe()

    def build(empty: Path) -> None:
        progress(f"building the {recipe.codename} image, once on this machine (about a minute)")
        _build(recipe, empty)

    return cached("image", recipe.model_dump_json().encode(), build) / "root"


def host_recipe() -> Recipe:
    """Return the recipe for this host: its release, its mirror, its certificate authorities."""
    codename = _codename(OS_RELEASE.read_text())
    asking = ["apt-get", "indextargets", "--format", _TARGET_FORMAT, "Created-By: Packages"]
    # Without downloaded lists apt knows no release information and shows nothing unless told so.
    targets = commands.run(asking, doing="asking apt for its mirrors") or commands.run(
        [*asking, "--no-release-info"], doing="asking apt for its mirrors"
    )
    sources = archive_sources(targets, codename)
    if not sources:
        raise HostUnsuitable(
            f"apt on this machine names no http archive of {codename} itself, so there is nothing to build a node "
            "from: add its archive to /etc/apt/sources.list and run apt-get update"
        )
    return Recipe(
        codename=codename,
        sources=sources,
        apt_settings=apt_settings(commands.run(["apt-config", "dump"], doing="asking apt for its settings")),
        packages=tuple(PACKAGES.read_text().split("\n\n", 1)[1].split()),
        certificates=tuple((file.name, file.read_text()) for file in sorted(HOST_CERTIFICATES.glob("*.crt"))),
    )


def archive_sources(targets: str, codename: str) -> tuple[str, ...]:
    """Return sources.list lines for the distribution's own archive among the index targets apt prints.

    Third parties name their suites after the release too; where apt knows the origin, it decides.

    >>> archive_sources("http://mirror.test/debian/ bookworm main Debian", "bookworm")
    ('deb http://mirror.test/debian/ bookworm main',)
    """
    components: dict[tuple[str, str], list[str]] = {}
    for line in targets.splitlines():
        uri, release, component, origin = line.split(" ")
        ours = release in {codename + pocket for pocket in _POCKETS} and component in _COMPONENTS
        known = origin in {"Debian", "Ubuntu", "$(ORIGIN)", ""}
        if ours and known and uri.startswith("http") and component not in components.setdefault((uri, release), []):
            components[uri, release].append(component)
    return tuple(f"deb {uri} {release} {' '.join(found)}" for (uri, release), found in components.items())


def apt_settings(dump: str) -> tuple[str, ...]:
    """Return the lines of `apt-config dump` that say how a mirror is reached; servers on the node never use a proxy."""
    settings = [f'{name} "{value}";' for name, value in _APT_SETTINGS.findall(dump)]
    return (*settings, 'Acquire::http::Proxy::127.0.0.1 "DIRECT";')


def _codename(os_release: str) -> str:
    found = re.search(r"^VERSION_CODENAME=\"?([a-z]+)\"?$", os_release, re.MULTILINE)
    if found is None:
        raise HostUnsuitable("local nodes need a Debian or Ubuntu release, /etc/os-release names no VERSION_CODENAME")
    return found.group(1)


def _build(recipe: Recipe, directory: Path) -> None:
    inputs = directory / "inputs"
    tree = {
        "etc/apt/apt.conf.d/90nodestack": "\n".join(recipe.apt_settings) + "\n",
        "etc/cloud/cloud.cfg.d/90-nodestack.cfg": recipe.cloud_init,
        "etc/ssh/sshd_config.d/90-nodestack.conf": recipe.sshd,
        **{f"usr/local/share/ca-certificates/{name}": pem for name, pem in recipe.certificates},
    }
    for path, content in tree.items():
        file = inputs / "tree" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    for path in ("", "/tree"):
        (inputs / path.lstrip("/")).chmod(0o755)
    customize = inputs / "customize"
    customize.write_text(recipe.customize)
    commands.run(
        [
            *_ENDING_WITH_US,
            "mmdebstrap",
            "--mode=root",
            "--variant=apt",
            f"--include={','.join(recipe.packages)}",
            *(f"--aptopt={line}" for line in recipe.apt_settings),
            '--customize-hook=cp -R --no-preserve=ownership inputs/tree/. "$1"/',
            '--customize-hook=sh inputs/customize "$1"',
            recipe.codename,
            "root",
            "-",
        ],
        doing=f"building the {recipe.codename} image",
        text_in="\n".join(recipe.sources) + "\n",
        cwd=directory,
    )
