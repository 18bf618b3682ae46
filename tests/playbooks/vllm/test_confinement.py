"""What the engine may not do on a node: tried from inside its own unit, and from another user's side."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from tests.playbooks.site_bench import API_KEY, HUB_TOKEN, Bench
from tests.playbooks.vllm import probes

pytestmark = [pytest.mark.node, pytest.mark.vllm, pytest.mark.qualify]

PROGRAM = "/run/nodestack-probes.py"
UNIT = "/etc/systemd/system/nodestack-vllm.service"
PAGE = (Path(__file__).resolve().parents[3] / "docs" / "hardening.md").read_text(encoding="utf-8")
# What must be as in the engine's own unit; the rest of that says what runs, and when.
CONFINES = re.compile(
    r"(User|Group|WorkingDirectory|Environment|LoadCredential|LimitNOFILE|LimitMEMLOCK|Device\w+|Capability\w+|Keyring\w+|Lock\w+"
    r"|NoNew\w+|Private\w+|Protect\w+|ReadWritePaths|RemoveIPC|Restrict(?!Sec)\w+|SystemCall\w+|UMask|IPAddress\w+)=.*"
)
# Root is above these, so that they are tried as the engine's user.
AS_THE_USER = {"ProtectProc", "UMask"}
# What root's processes need for these to be tried alone.
ALONE = {"ProtectProc": ["User=vllm"], "UMask": ["User=vllm", "WorkingDirectory=/tmp"]}
Said = dict[str, tuple[bool, str]]


def as_unit(directives: list[str], *names: str) -> str:
    """Return the command that runs probes as a unit with these directives."""
    words = [
        *("systemd-run", "--quiet", "--wait", "--pipe", "--collect"),
        *(word for directive in directives for word in ("--property", directive)),
        *("/usr/bin/python3", "-I", PROGRAM, *names),
    ]
    return shlex.join(words)


def said(printed: str) -> Said:
    """Return what all probes said, of which each run prints a line."""
    found: Said = {}
    for line in printed.splitlines():
        if line.startswith("{"):
            found |= {name: (passed, text) for name, (passed, text) in json.loads(line).items()}
    return found


def directives(node: Bench) -> list[str]:
    """Return the lines of the engine's own unit that confine it."""
    text = node.on(f"cat {UNIT}")
    return [line for line in text.splitlines() if CONFINES.fullmatch(line)]


def run_like_the_engine(node: Bench) -> Said:
    """Run all probes in a unit that is the engine's in all that confines it."""
    unit = [
        "[Service]",
        "Type=oneshot",
        f"ExecStart=/usr/bin/python3 -I {PROGRAM}",
        "StandardOutput=truncate:/run/probes",
    ]
    node.put("/run/systemd/system/nodestack-probe.service", "\n".join([*unit, *directives(node), ""]))
    found = said(node.on("systemctl daemon-reload; systemctl start nodestack-probe; cat /run/probes"))
    node.on("rm /run/systemd/system/nodestack-probe.service; systemctl daemon-reload")
    assert found.keys() == probes.PROBES.keys(), node.on("journalctl -n 20 -u nodestack-probe")
    return found


def row(name: str) -> str:
    """Return what the page says of a directive."""
    found = [line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |")]
    assert found, f"docs/hardening.md does not name {name}"
    return found[0]


@pytest.fixture(scope="module")
def node(converged: Bench) -> Bench:
    converged.put(PROGRAM, Path(probes.__file__).read_text(encoding="utf-8"))
    converged.on(f"chmod 644 {PROGRAM}; umask 022; readlink /proc/1/ns/mnt | tr -d '\\n' > /tmp/nodestack-probe")
    return converged


@pytest.fixture(scope="module")
def inside(node: Bench) -> Said:
    return run_like_the_engine(node)


@pytest.fixture(scope="module")
def open_to_root(node: Bench) -> Said:
    """What root may do without any directive; what only shows to a user, the engine's user."""
    bare = as_unit([])
    users = as_unit(["User=vllm", "WorkingDirectory=/tmp"], *AS_THE_USER)
    return said(node.on(f"{bare}; {users}"))


@pytest.fixture(scope="module")
def alone(node: Bench) -> Said:
    """What the same may do with nothing but the one directive."""
    lines = directives(node)
    commands = []
    for name in probes.PROBES:
        wanted = (f"{name.partition(' ')[0]}=", *(("SystemCallErrorNumber=",) if name.startswith("SystemCall") else ()))
        commands.append(as_unit([*(line for line in lines if line.startswith(wanted)), *ALONE.get(name, [])], name))
    return said(node.on("\n".join(commands)))


@pytest.mark.parametrize("name", probes.PROBES)
def test_what_a_directive_denies_is_denied_inside_the_unit(inside: Said, name: str) -> None:
    passed, text = inside[name]
    assert passed is ("not enforced in a container" in row(name)), f"{name}: {text}"


@pytest.mark.parametrize("name", probes.PROBES)
def test_it_is_the_directive_that_denies_or_the_page_says_that_this_node_cannot_show_it(
    open_to_root: Said, alone: Said, name: str
) -> None:
    """Root may do it without the directive, and not with it alone; where it may not anyway, the page names it."""
    shown = open_to_root[name][0] and not alone[name][0]
    assert row(name).endswith("| shown |") is shown, (name, open_to_root[name], alone[name])


def test_shared_memory_goes_with_the_last_unit_of_its_user(node: Bench) -> None:
    """Tried as a user of no other unit: the engine's own is in use as long as it serves."""
    code = "import ctypes; print(ctypes.CDLL(None).shmget(4711, 4096, 0o1600))"
    command = ["User=nobody", *[line for line in directives(node) if line.startswith("RemoveIPC")]]
    words = ["systemd-run", "--quiet", "--wait", "--pipe", "--collect"]
    words += [word for line in command for word in ("--property", line)]
    assert int(node.on(shlex.join([*words, "/usr/bin/python3", "-Ic", code]))) >= 0
    assert "4711" not in node.on("cat /proc/sysvipc/shm")


def test_systemd_calls_the_running_unit_well_confined(node: Bench, record_property: Any) -> None:
    verdict = node.on("systemd-analyze security --no-pager nodestack-vllm.service | tail -1")
    exposure = float(re.findall(r"(\d+\.\d) ", verdict)[0])
    record_property("exposure", exposure)
    assert exposure <= 2.5, verdict


@pytest.mark.parametrize("user", ["nobody", "vllm"])
def test_no_key_is_readable_by_another_user_and_no_weights_are_writable(node: Bench, user: str) -> None:
    for secret in (API_KEY, HUB_TOKEN):
        assert secret in node.on(f"grep -rhs {secret} /etc/nodestack"), "it is there to be found"
        places = "/etc /run /srv/nodestack/cache /var/lib /var/log /tmp /usr/local /home /root"
        # Not found in what looks for it.
        pattern = shlex.quote(f"[{secret[0]}]{secret[1:]}")
        look = f"runuser -u {user} -- grep -rlsI -D skip {pattern} {places}"
        assert node.on(f"{look} | grep -v ^/run/credentials || true") == ""
        processes = (
            f"for p in /proc/[0-9]*; do runuser -u {user} -- grep -ls {pattern} $p/environ $p/cmdline; done 2>/dev/null"
        )
        assert node.on(f"{processes} || true") == ""
    if user != "vllm":
        assert node.on(f"runuser -u {user} -- ls -A /run/credentials 2>&1 | grep -c api_key || true") == "0"
    places = "/srv/nodestack/weights /srv/nodestack/engines /etc/nodestack /usr/local/lib/nodestack"
    assert node.on(f"runuser -u {user} -- find {places} -writable ! -type l 2>/dev/null") == ""
