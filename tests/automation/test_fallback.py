"""What a fallback buys: the stack's node but for what it says, asked of the cloud and told to the engine alike."""

from pathlib import Path

import pytest
import yaml

from nodestack.automation import fallback
from nodestack.automation.checkout import Checkout
from nodestack.catalog import load
from nodestack.errors import SettingsError
from nodestack.lifecycle.journal import Step
from nodestack.settings.defaults import with_defaults
from nodestack.settings.watch import WatchSettings

NODE = {
    "shape": "4x-h200-sxm5",
    "market": "spot",
    "region": "FIN-02",
    "max_usd_per_hour": 11,
    "driver_repository": "r",
    "driver_repository_key_url": "k",
}
WATCH = {
    "fallbacks": ["region", "offer", "on_demand", "park"],
    "offer_shape": "8x-h100-sxm5",
    "offer_max_usd_per_hour": 20,
    "on_demand_max_usd_per_hour": 16,
}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    found = Checkout(tmp_path)
    config = {"nodestack:node": NODE, "nodestack:watch": WATCH, "nodestack:api_key": {"secure": "v1:abc"}}
    found.stack_file("spot").parent.mkdir()
    found.stack_file("spot").write_text(yaml.safe_dump({"encryptionsalt": "v1:salt", "config": config}))
    (found.state / "watch").mkdir(parents=True)
    return found


@pytest.mark.parametrize(
    ("step", "asked"),
    [
        ("declared", ("H200", "spot", "FIN-02", 11)),
        ("region", ("H200", "spot", None, 11)),
        ("offer", ("H100", "spot", None, 20)),
        ("on_demand", ("H200", "on_demand", None, 16)),
    ],
)
def test_each_asks_for_what_it_says(checkout: Checkout, step: Step, asked: tuple[object, ...]) -> None:
    wish = fallback.wishes(fallback.terms(checkout, "spot"), load())[step]
    assert (wish.query.gpu, wish.query.market, wish.query.region, wish.max_usd_per_hour) == asked


def test_the_engine_is_told_the_same_and_secrets_stay_as_they_are(checkout: Checkout) -> None:
    said = fallback.terms(checkout, "spot")
    before = checkout.stack_file("spot").read_bytes()
    assert fallback.settings_file(checkout, "spot", "declared", said.watch) is None
    file = fallback.settings_file(checkout, "spot", "on_demand", said.watch)
    assert file is not None
    written = yaml.safe_load(file.read_text())
    node = {**NODE, "market": "on_demand", "max_usd_per_hour": 16.0}
    del node["region"]
    assert written["config"]["nodestack:node"] == node
    assert written["config"]["nodestack:api_key"] == {"secure": "v1:abc"}
    assert written["encryptionsalt"] == "v1:salt"
    assert file.stat().st_mode & 0o777 == 0o600
    assert checkout.stack_file("spot").read_bytes() == before


@pytest.mark.parametrize(
    ("watch", "said"),
    [
        ({"fallbacks": ["park", "region"]}, "has something after park"),
        ({"fallbacks": ["on_demand"]}, "has on_demand without park"),
        ({"fallbacks": ["offer"]}, "say offer_shape, offer_max_usd_per_hour or both"),
        ({"fallbacks": ["region", "region"]}, "names one twice"),
        ({"night": "22:00"}, "two different times of day"),
        ({"night": "22:00-22:00"}, "two different times of day"),
        ({"timezone": "Middle/Earth"}, "no time zone that this machine knows"),
        ({"poll_s": 1}, "watch.poll_s is 1"),
    ],
)
def test_what_makes_no_sense_is_refused(checkout: Checkout, watch: dict[str, object], said: str) -> None:
    config = {"nodestack:node": NODE, "nodestack:watch": watch}
    checkout.stack_file("spot").write_text(yaml.safe_dump({"config": config}))
    with pytest.raises(SettingsError, match=said):
        fallback.terms(checkout, "spot")


def test_without_a_section_the_defaults_hold(checkout: Checkout) -> None:
    checkout.stack_file("spot").write_text(yaml.safe_dump({"config": {"nodestack:node": NODE}}))
    assert fallback.terms(checkout, "spot").watch == WatchSettings()


def test_what_all_stacks_share_holds_here_too_and_does_not_come_back(checkout: Checkout) -> None:
    shared = {"nodestack:node": {"region": "FIN-01", "ready_timeout_s": 900}}
    (checkout.root / "stacks/defaults.yaml").write_text(yaml.safe_dump({"config": shared}))
    own = yaml.safe_load(checkout.stack_file("spot").read_text())
    del own["config"]["nodestack:node"]["region"]
    checkout.stack_file("spot").write_text(yaml.safe_dump(own))

    said = fallback.terms(checkout, "spot")
    file = fallback.settings_file(checkout, "spot", "region", said.watch)

    assert (said.node.region, said.node.ready_timeout_s) == ("FIN-01", 900)
    assert file is not None
    told = with_defaults(
        {"node": yaml.safe_load(file.read_text())["config"]["nodestack:node"]}, checkout.root, "nodestack"
    )
    assert told["node"]["region"] is None and told["node"]["ready_timeout_s"] == 900
