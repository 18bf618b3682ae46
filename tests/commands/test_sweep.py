"""`nodestack sweep` as a process, against clouds over HTTP: what is stray, what is not, and what is deleted when."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodestack.clouds.simulated.faults import Fault, Kind
from tests.commands.clouds import Account, checkout_at, spheron_account, verda_account

Accounts = {"spheron": spheron_account, "verda": verda_account}


@pytest.fixture(params=list(Accounts))
def account(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Account]:
    with Accounts[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture
def spheron(tmp_path: Path) -> Iterator[Account]:
    with spheron_account(tmp_path) as opened:
        yield opened


def in_use(account: Account, stack: str) -> None:
    """Have a stack with a node and a volume that its state knows."""
    account.stack(stack)
    node, volume = account.node(f"nodestack-{stack}-node"), account.volume(f"nodestack-{stack}-weights")
    account.record(stack, "Node", node.machine_id, node.order.name)
    account.record(stack, "Volume", volume.disk_id, volume.name)


def alive(account: Account) -> list[str]:
    return sorted(account.world.report().alive)


def test_where_states_know_everything_nothing_is_stray(account: Account) -> None:
    in_use(account, "prod")
    account.node("web-1")
    account.volume("nodestack-prod-weights-copy")
    found = account.run("sweep")
    assert (found.returncode, found.stdout.strip()) == (0, "Nothing is stray.")


def test_strays_are_told_with_age_price_and_cost_so_far_and_are_left_alone(account: Account) -> None:
    in_use(account, "prod")
    stray = account.node("nodestack-prod-node", hours=5)
    account.volume("nodestack-old-weights")
    report = account.json("sweep", code=1)
    node, volume = report["strays"]
    price = stray.order.offer.usd_per_hour
    assert (node["id"], node["stack"], node["in_checkout"]) == (stray.machine_id, "prod", True)
    assert (node["usd_per_hour"], node["region"]) == (price, stray.order.offer.region)
    assert node["age_hours"] == pytest.approx(5, abs=0.1)
    assert node["usd_so_far"] == pytest.approx(5 * price, rel=0.02)
    assert (volume["what"], volume["stack"], volume["in_checkout"]) == ("volume", "old", False)
    assert volume["usd_per_hour"] == pytest.approx(600 * 0.00013)
    shown = account.run("sweep").stdout
    assert shown.startswith("2 strays: $")
    assert max(len(line) for line in shown.splitlines()) <= 100
    assert alive(account) == ["nodestack-prod-node"] * 2


def test_what_was_bought_twice_is_deleted_by_its_id_and_what_the_state_knows_stays(account: Account) -> None:
    in_use(account, "prod")
    kept = account.states["prod"][0]["id"]
    account.node("nodestack-prod-node")
    found = account.run("sweep", "--delete", "--yes")
    assert found.returncode == 0, found.stderr
    assert "1 thing deleted and surely gone. Nothing is stray." in found.stdout
    assert [machine.machine_id for machine in account.world.living()] == [kept]
    assert account.world.report().volumes_deleted == ()


def test_volumes_are_deleted_only_with_a_second_word(account: Account) -> None:
    account.stack("prod")
    account.node("nodestack-prod-node")
    account.volume("nodestack-prod-weights")
    first = account.run("sweep", "--delete", "--yes")
    assert first.returncode == 1
    assert "--volumes-too" in first.stdout
    assert (alive(account), account.world.report().volumes_deleted) == ([], ())
    second = account.run("sweep", "--delete", "--volumes-too", "--yes")
    assert second.returncode == 0, second.stderr
    assert account.world.report().volumes_deleted == ("nodestack-prod-weights",)


def test_what_may_be_another_checkouts_is_deleted_only_when_it_is_named(account: Account) -> None:
    account.stack("prod")
    account.node("nodestack-prod-node")
    account.node("nodestack-theirs-node")
    account.node("nodestack-prod-eu-node")
    left = account.run("sweep", "--delete", "--yes")
    assert left.returncode == 1
    assert "this checkout has no stack prod-eu, theirs" in " ".join(left.stdout.split())
    assert alive(account) == ["nodestack-prod-eu-node", "nodestack-theirs-node"]
    named = account.run("sweep", "--delete", "nodestack-theirs-node", "--yes")
    assert named.returncode == 1
    assert alive(account) == ["nodestack-prod-eu-node"]


def test_a_stack_of_this_checkout_that_lives_elsewhere_does_not_own_what_has_its_name_here(spheron: Account) -> None:
    spheron.stack("here")
    spheron.node("nodestack-here-node")
    file = spheron.checkout.stack_file("elsewhere")
    file.write_text("config:\n  nodestack:cloud: {kind: spheron, team_id: another}\n")
    spheron.node("nodestack-elsewhere-node")
    found = spheron.run("sweep", "--cloud", "spheron", "--base-url", spheron.base_url, "--delete", "--yes")
    assert found.returncode == 1
    assert alive(spheron) == ["nodestack-elsewhere-node"]


def test_a_name_that_is_no_stray_deletes_nothing(spheron: Account) -> None:
    in_use(spheron, "prod")
    spheron.node("nodestack-prod-node")
    found = spheron.run("sweep", "--delete", "nodestack-prod-weights", "--yes")
    assert found.returncode == 2
    assert "nodestack-prod-weights: no stray has this name or id" in found.stderr
    assert len(alive(spheron)) == 2


def test_without_a_terminal_and_without_yes_nothing_is_deleted(spheron: Account) -> None:
    spheron.stack("prod")
    spheron.node("nodestack-prod-node")
    found = spheron.run("sweep", "--delete")
    assert found.returncode == 1
    assert "no terminal to ask on" in found.stderr
    assert alive(spheron) == ["nodestack-prod-node"]


@pytest.mark.parametrize(
    ("answers", "nodes", "volumes"), [("yes\nyes\n", [], 0), ("yes\nno\n", ["x"], 1), ("\n", ["x"], 1)]
)
def test_on_a_terminal_nodes_and_volumes_are_asked_for_apart(
    spheron: Account, answers: str, nodes: list[str], volumes: int
) -> None:
    spheron.stack("prod")
    spheron.node("nodestack-prod-node")
    spheron.volume("nodestack-prod-weights")
    found = spheron.on_terminal(answers, "sweep", "--delete", "--volumes-too")
    assert found.returncode == int(bool(nodes)), found.stderr
    assert "Delete these nodes: nodestack-prod-node (" in found.stderr
    assert ("with everything on them: nodestack-prod-weights (" in found.stderr) == answers.startswith("yes")
    assert (len(alive(spheron)), len(spheron.world.report().volumes)) == (len(nodes), volumes)


def test_a_stack_that_a_run_is_at_work_on_is_left_alone_and_a_dead_runs_lock_is_none(spheron: Account) -> None:
    spheron.stack("prod")
    spheron.node("nodestack-prod-node")
    lock = spheron.lock("prod", os.getpid())
    report = spheron.json("sweep", "--delete", "--yes")
    assert [one["name"] for one in report["at_work"]] == ["nodestack-prod-node"]
    assert (report["strays"], alive(spheron)) == ([], ["nodestack-prod-node"])
    lock.unlink()
    spheron.lock("prod", 2**22 + 1)
    assert spheron.json("sweep", code=1)["strays"][0]["name"] == "nodestack-prod-node"


def test_what_a_state_knows_and_the_account_lost_is_told_with_why(account: Account) -> None:
    in_use(account, "prod")
    node_id, volume_id = (one["id"] for one in account.states["prod"])
    account.world.preempt(node_id)
    account.world.delete_disk(volume_id) if account.kind == "spheron" else None
    report = account.json("sweep")
    assert report["strays"] == []
    told = {one["what"]: (one["id"], one["because"]) for one in report["missing"]}
    # On demand, a Verda instance that ended was deleted as far as Verda tells.
    assert told["node"] == (node_id, "preempted" if account.kind == "spheron" else "deleted")
    assert ("volume" in told) == (account.kind == "spheron")


def test_a_list_that_lags_makes_nothing_missing(spheron: Account) -> None:
    in_use(spheron, "prod")
    for machine in spheron.world.living():
        machine.hidden_from_lists = 9
    assert spheron.json("sweep")["missing"] == []


@pytest.mark.parametrize("path", ["/api/deployments", "/api/volumes"])
def test_a_list_that_cannot_be_read_deletes_nothing_and_is_a_failure(spheron: Account, path: str) -> None:
    spheron.stack("prod")
    spheron.node("nodestack-prod-node")
    spheron.faults.add(Fault(kind=Kind.ERROR_BEFORE, method="GET", path=path, times=99))
    found = spheron.run("sweep", "--delete", "--yes")
    assert found.returncode == 1
    assert "as far as could be asked" in found.stdout
    assert f"answered GET {path} with 500" in found.stderr
    assert alive(spheron) == ["nodestack-prod-node"]


@pytest.mark.parametrize("text", ["{", '{"checkpoint": {"latest": {"resources": [{}]}}}'])
def test_a_state_that_cannot_be_read_deletes_nothing(spheron: Account, text: str) -> None:
    in_use(spheron, "prod")
    spheron.checkout.checkpoint("prod").write_text(text)
    found = spheron.run("sweep", "--delete", "--yes", "--volumes-too")
    assert (found.returncode, found.stdout) == (1, "")
    assert "the state of stack prod cannot be read" in found.stderr
    assert alive(spheron) == ["nodestack-prod-node"]


def test_states_that_are_kept_elsewhere_are_no_reason_to_call_everything_stray(spheron: Account) -> None:
    in_use(spheron, "prod")
    found = spheron.run("sweep", "--delete", "--yes", PULUMI_BACKEND_URL="s3://elsewhere")
    assert (found.returncode, found.stdout) == (1, "")
    assert "states are kept at s3://elsewhere" in found.stderr
    own = spheron.run("sweep", PULUMI_BACKEND_URL=f"file://{spheron.checkout.backend}")
    assert own.returncode == 0


def test_one_that_cannot_be_deleted_is_told_and_the_others_go(spheron: Account) -> None:
    spheron.stack("prod")
    spheron.volume("nodestack-prod-weights")
    spheron.node("nodestack-prod-node")
    holder = spheron.node("holder")
    disk = next(iter(spheron.world.disks.values()))
    spheron.world.attach(disk.disk_id, holder.machine_id)
    found = spheron.run("sweep", "--delete", "--volumes-too", "--yes")
    assert found.returncode == 1
    assert "Not deleted" in found.stdout
    assert (alive(spheron), spheron.world.report().volumes_deleted) == (["holder"], ())


def test_a_boot_disk_that_a_lost_node_left_is_stray_and_one_in_use_is_not(tmp_path: Path) -> None:
    with verda_account(tmp_path) as verda:
        in_use(verda, "prod")
        used, left = verda.volume("nodestack-prod-node-os"), verda.volume("nodestack-prod-node-os")
        used.attached_to = verda.states["prod"][0]["id"]
        assert [one["id"] for one in verda.json("sweep", code=1)["strays"]] == [left.disk_id]


def test_200_nodes_and_400_volumes_take_one_request_a_page(spheron: Account) -> None:
    for number in range(197):
        spheron.node(f"other-{number}")
        spheron.volume(f"other-{number}")
    in_use(spheron, "prod")
    strays = [spheron.node("nodestack-prod-node").machine_id for _ in range(2)]
    for number in range(202):
        spheron.volume(f"disk-{number}")
    report = spheron.json("sweep", code=1)
    assert [one["id"] for one in report["strays"]] == strays
    asked = spheron.asked()
    assert sorted(asked) == sorted(["GET /api/balance", *["GET /api/deployments"] * 2, *["GET /api/volumes"] * 4])
    spheron.faults.asked.clear()
    assert spheron.run("sweep", "--delete", "--yes").returncode == 0
    # The lists once more, and for each stray a deletion and a look whether it is gone; never anything of a page's size.
    assert len(spheron.asked()) == len(asked) + 2 * len(strays)
    assert len(alive(spheron)) == 198


def test_200_strays_are_all_deleted_and_nothing_else(spheron: Account) -> None:
    in_use(spheron, "prod")
    for _ in range(200):
        spheron.node("nodestack-prod-node")
    found = spheron.run("sweep", "--delete", "--yes")
    assert found.returncode == 0, found.stderr[-500:]
    assert "200 things deleted and surely gone" in found.stdout
    assert [machine.machine_id for machine in spheron.world.living()] == [spheron.states["prod"][0]["id"]]


def test_the_local_cloud_is_swept_as_well(tmp_path: Path) -> None:
    checkout = checkout_at(tmp_path)
    account = Account("local", "", None, None, checkout, {})  # type: ignore[arg-type]
    volumes = checkout.root / ".nodestack" / "local" / "volumes"
    volumes.mkdir(parents=True)
    (volumes / "nodestack-old-weights.img").write_bytes(b"")
    (volumes / "nodestack-old-weights.json").write_text(
        '{"volume_id": "nodestack-old-weights-0badc0de", "name": "nodestack-old-weights", "size_gib": 1}'
    )
    (one,) = account.json("sweep", "--cloud", "local", code=1)["strays"]
    assert (one["id"], one["usd_per_hour"]) == ("nodestack-old-weights-0badc0de", None)
    arguments = ("sweep", "--cloud", "local", "--delete", "nodestack-old-weights", "--volumes-too", "--yes")
    assert account.run(*arguments).returncode == 0
    assert not (volumes / "nodestack-old-weights.img").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--yes",), "say --delete as well"),
        (("--volumes-too",), "say --delete as well"),
        (("--stack", "nowhere"), "there is neither"),
        (("--base-url", "http://127.0.0.1:1"), "no cloud is named"),
        (("--cloud", "elsewhere"), "invalid choice"),
    ],
)
def test_bad_input_is_one_message_and_asks_nobody(spheron: Account, arguments: tuple[str, ...], told: str) -> None:
    found = spheron.run("sweep", *arguments)
    assert (found.returncode, found.stdout) == (2, "")
    assert told in found.stderr
    assert spheron.asked() == []
