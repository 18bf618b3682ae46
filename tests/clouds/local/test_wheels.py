"""The wheel cache against the real pip and a flat index of wheels made here."""

import base64
import hashlib
import zipfile
from pathlib import Path

import pytest

from nodestack.clouds.local import wheels
from nodestack.errors import CloudError


def wheel(index: Path, name: str, version: str, tag: str = "py3-none-any") -> str:
    """Put a wheel into the index and return its SHA-256."""
    path = index / f"{name}-{version}-{tag}.whl"
    info = f"{name}-{version}.dist-info"
    content = {
        f"{name}.py": f"# {tag}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    digests = {
        file: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
        for file, text in content.items()
    }
    record = "".join(f"{file},sha256={digests[file]},\n" for file in content) + f"{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**content, f"{info}/RECORD": record}.items():
            archive.writestr(zipfile.ZipInfo(file), text)
    return hashlib.sha256(path.read_bytes()).hexdigest()


class Checkout:
    """Roles with locks, an index that pip finds, and caches of their own."""

    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.index = root / "flat index"
        self.index.mkdir()
        self.files = root / "playbooks" / "roles" / "engine" / "files"
        self.files.mkdir(parents=True)
        self.store = root / "caches" / "nodestack" / "wheel-files" / "3.11"
        patch.setattr(wheels, "PLAYBOOKS", root / "playbooks")
        patch.setenv("XDG_CACHE_HOME", str(root / "caches"))
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", self.index.as_uri())

    def lock(self, name: str, *lines: str) -> None:
        (self.files / name).write_text("\n".join(lines) + "\n")


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    return Checkout(tmp_path, monkeypatch)


def test_every_lock_of_a_local_node_is_served_and_none_that_only_gpus_need(checkout: Checkout) -> None:
    one, two = wheel(checkout.index, "one", "1.0"), wheel(checkout.index, "two", "2.0")
    checkout.lock("requirements-1-cpu.txt", "one==1.0 \\", f"    --hash=sha256:{one}", "    # via nothing")
    checkout.lock("requirements-tool.txt", f"two==2.0 ; sys_platform == 'linux' --hash=sha256:{two}")
    checkout.lock("requirements-1-cuda.txt", "absent==9 --hash=sha256:00")
    found = wheels.directory()
    assert sorted(path.name for path in found.iterdir()) == ["one-1.0-py3-none-any.whl", "two-2.0-py3-none-any.whl"]


def test_the_wheel_fits_the_node_and_not_the_python_that_fetches_it(checkout: Checkout) -> None:
    hashes = [wheel(checkout.index, "one", "1.0", f"cp3{minor}-cp3{minor}-manylinux_2_28_x86_64") for minor in (11, 12)]
    checkout.lock("requirements.txt", "one==1.0 " + " ".join(f"--hash=sha256:{digest}" for digest in hashes))
    for python, tag in (("3.11", "cp311"), ("3.12", "cp312")):
        assert [path.name.split("-")[2] for path in wheels.directory(python).iterdir()] == [tag]


def test_a_wheel_other_than_the_locked_one_is_refused_with_what_pip_said(checkout: Checkout) -> None:
    wheel(checkout.index, "one", "1.0")
    checkout.lock("requirements.txt", f"one==1.0 --hash=sha256:{'0' * 64}")
    with pytest.raises(CloudError, match=r"pip said 'ERROR: .*HASHES.*'"):
        wheels.directory()
    assert not list((checkout.store.parents[1] / "wheels").glob("[0-9a-f]*[0-9a-f]"))


def test_what_was_fetched_before_is_used_and_what_was_damaged_is_fetched_again(checkout: Checkout) -> None:
    one, two = wheel(checkout.index, "one", "1.0"), wheel(checkout.index, "two", "2.0")
    checkout.lock("requirements.txt", f"one==1.0 --hash=sha256:{one}")
    wheels.directory()
    (checkout.index / "one-1.0-py3-none-any.whl").unlink()
    checkout.lock("requirements-more.txt", f"two==2.0 --hash=sha256:{two}")
    assert len(list(wheels.directory().iterdir())) == 2

    stored = checkout.store / "two-2.0-py3-none-any.whl"
    stored.unlink()
    stored.write_bytes(b"half of it")
    checkout.lock("requirements-third.txt", "# a changed lock")
    found = wheels.directory() / stored.name
    assert hashlib.sha256(found.read_bytes()).hexdigest() == two


def test_locks_that_know_different_files_of_one_version_agree(checkout: Checkout) -> None:
    one = wheel(checkout.index, "one", "1.0")
    checkout.lock("requirements-a.txt", f"one==1.0 --hash=sha256:{'1' * 64}")
    checkout.lock("requirements-b.txt", f"one==1.0 --hash=sha256:{one}")
    assert [path.name for path in wheels.directory().iterdir()] == ["one-1.0-py3-none-any.whl"]


def test_what_another_system_needs_is_left_out() -> None:
    lock = "a==1 ; sys_platform == 'win32' --hash=sha256:00\nb==2 ; python_full_version >= '3.12' --hash=sha256:00\n"
    assert list(wheels.pinned(lock, "3.11")) == []
    assert [one.name for one in wheels.pinned(lock, "3.12")] == ["b"]
