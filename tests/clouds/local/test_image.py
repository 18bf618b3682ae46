from pathlib import Path

import pytest

from nodestack.clouds.local.image import PACKAGES, apt_settings, archive_sources, host_recipe
from nodestack.errors import HostUnsuitable

TARGETS = """\
http://mirror.test/debian/ bookworm main Debian
http://mirror.test/debian/ bookworm contrib Debian
http://mirror.test/debian/ bookworm-updates main Debian
http://security.test/debian-security/ bookworm-security main Debian
http://mirror.test/debian/ bookworm-backports main Debian
https://third.test/ bookworm main Third Party
https://other.test/ stable main Debian
cdrom://[disc]/ bookworm main Debian
"""


def test_sources_are_the_distributions_own_archive_and_nobody_elses() -> None:
    assert archive_sources(TARGETS.replace("Third Party", "Third"), "bookworm") == (
        "deb http://mirror.test/debian/ bookworm main",
        "deb http://mirror.test/debian/ bookworm-updates main",
        "deb http://security.test/debian-security/ bookworm-security main",
    )


def test_ubuntus_archive_keeps_its_components_and_is_listed_once_per_architecture() -> None:
    targets = "".join(f"http://ubuntu.test/ noble {name} Ubuntu\n" for name in ("main", "universe", "main"))
    assert archive_sources(targets, "noble") == ("deb http://ubuntu.test/ noble main universe",)


def test_without_downloaded_lists_the_release_decides() -> None:
    assert archive_sources("http://mirror.test/ bookworm main $(ORIGIN)\n", "bookworm") == (
        "deb http://mirror.test/ bookworm main",
    )


def test_the_way_to_the_mirror_is_the_hosts_and_servers_on_the_node_need_no_proxy() -> None:
    dump = 'Acquire "";\nAcquire::http::Proxy "http://proxy.test:3128";\nAcquire::Check-Date "false";\nAPT::Foo "1";\n'
    assert apt_settings(dump) == (
        'Acquire::http::Proxy "http://proxy.test:3128";',
        'Acquire::Check-Date "false";',
        'Acquire::http::Proxy::127.0.0.1 "DIRECT";',
    )


def test_a_host_without_an_archive_of_its_release_is_told_what_to_add(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodestack.clouds.local.commands.run", lambda argv, doing: "")
    with pytest.raises(HostUnsuitable, match=r"names no http archive of .* itself"):
        host_recipe()


def test_a_system_without_a_release_name_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "os-release").write_text('ID=other\nVERSION_ID="1"\n')
    monkeypatch.setattr("nodestack.clouds.local.image.OS_RELEASE", tmp_path / "os-release")
    with pytest.raises(HostUnsuitable, match="Debian or Ubuntu"):
        host_recipe()


def test_the_recipe_changes_with_the_certificates_of_the_host(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("nodestack.clouds.local.image.HOST_CERTIFICATES", tmp_path)
    without = host_recipe()
    (tmp_path / "own.crt").write_text("PEM\n")
    assert host_recipe().model_dump_json() != without.model_dump_json()
    assert host_recipe().certificates == (("own.crt", "PEM\n"),)


def test_the_package_list_says_where_it_is_from_and_holds_nothing_but_names() -> None:
    about, names = PACKAGES.read_text().split("\n\n", 1)
    assert about.startswith("#")
    assert all(name.replace("+", "").replace("-", "").isalnum() for name in names.split())
