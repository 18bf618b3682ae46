import doctest

import pytest

from nodestack.catalog import load
from nodestack.errors import SettingsError
from nodestack.planning.plan import make_plan
from nodestack.settings import parse, parsing
from tests.stacks import config, gpu_config


def test_the_local_template_is_valid() -> None:
    assert parse(config()).node.shape == "local"


def test_the_docstring_example_holds() -> None:
    failures, tried = doctest.testmod(parsing)
    assert tried and not failures


def test_a_misspelt_key_is_refused_with_the_key_that_was_meant() -> None:
    with pytest.raises(
        SettingsError, match=r"nodestack:serving.max_model_length is no setting; did you mean .*max_model_len\?"
    ):
        parse(config(serving={"max_model_length": 1}))


def test_a_misspelt_section_is_refused_with_the_section_that_was_meant() -> None:
    with pytest.raises(SettingsError, match=r"nodestack:modle is no setting; did you mean nodestack:model\?"):
        parse(config(modle={"name": "x"}))


@pytest.mark.parametrize("commit", ["main", "a" * 39, "A" * 40, "v1.0", "a" * 41])
def test_a_pin_that_is_not_40_hex_digits_is_refused(commit: str) -> None:
    with pytest.raises(SettingsError, match=rf"nodestack:model.commit is '{commit}': a pin is 40 hex digits"):
        parse(config(model={"commit": commit}))


def test_all_problems_come_in_one_message() -> None:
    with pytest.raises(SettingsError) as refusal:
        parse(config(volume={"size_gib": 0}, node={"shap": "x"}, engine={"build": "rocm"}))
    text = str(refusal.value)
    assert "wrong in 3 places" in text
    assert all(key in text for key in ("volume.size_gib is 0", "node.shap is no setting", "engine.build is 'rocm'"))


def test_a_secret_of_the_wrong_form_is_refused_without_being_shown() -> None:
    short = "hunter2"
    with pytest.raises(SettingsError) as refusal:
        parse(config() | {"nodestack:api_key": short})
    assert "nodestack:api_key" in str(refusal.value)
    assert short not in str(refusal.value)


def test_a_missing_secret_says_how_to_make_it() -> None:
    values = config()
    del values["nodestack:ssh_private_key"]
    with pytest.raises(SettingsError, match=r"nodestack:ssh_private_key is missing: `make init` generates it"):
        parse(values)


def test_settings_are_frozen_and_secrets_do_not_print() -> None:
    settings_ = parse(config())
    assert "sk-for-tests" not in repr(settings_)
    with pytest.raises(ValueError, match="frozen"):
        settings_.volume = settings_.volume


def test_wrong_values_and_unknown_names_come_in_one_message() -> None:
    with pytest.raises(SettingsError) as refusal:
        parse(
            config(
                model={"name": "trinity"},
                node={"shape": "9x-h100"},
                engine={"version": "1.0"},
                cost={"utilisation": 2},
                workload={"trace_lengths_file": "no-such-file"},
            ),
            load(),
        )
    text = str(refusal.value)
    assert text.startswith("the stack's settings are wrong in 5 places:")
    for part in ("cost.utilisation is 2", "no-such-file", "model.name is 'trinity'", "9x-h100", "version is '1.0'"):
        assert part in text


def test_two_sources_of_the_workloads_length_contradict_each_other() -> None:
    with pytest.raises(SettingsError, match="both trace_length_p95 and trace_lengths_file"):
        parse(config(workload={"trace_lengths_file": "x", "trace_length_p95": 5}))


def test_a_cloud_that_nobody_knows_is_refused_with_those_there_are() -> None:
    with pytest.raises(SettingsError, match=r"nodestack:cloud.kind is 'aws', allowed are local, spheron, verda, ssh"):
        parse(config(cloud={"kind": "aws"}))


def test_a_clouds_own_keys_are_named_as_a_stack_file_has_them() -> None:
    with pytest.raises(SettingsError) as refusal:
        parse(config(cloud={"kind": "local", "hardware_profil": "x"}))
    assert "nodestack:cloud.hardware_profil is no setting; did you mean nodestack:cloud.hardware_profile?" in str(
        refusal.value
    )
    with pytest.raises(
        SettingsError, match=r"nodestack:cloud.base_url is 'http://x.example': a cloud is asked over https"
    ):
        parse(config(cloud=None) | {"nodestack:cloud": '{"kind": "spheron", "base_url": "http://x.example"}'})


def test_the_market_of_a_stacks_node_is_the_one_its_plan_is_priced_on() -> None:
    catalog = load()
    offers = {"node": {"shape": "4x-h200-sxm5", "market": "spot", "max_usd_per_hour": 20, "region": "FIN-02"}}
    settings = parse(gpu_config(**offers), catalog)
    cost = make_plan(settings.request, catalog).cost
    spot = catalog.prices.nodes["4x-h200-sxm5"].spot
    assert spot is not None
    assert (cost.market, cost.usd_per_hour) == ("spot", spot.usd_per_hour)


def test_a_limit_that_nothing_can_keep_to_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"node.max_usd_per_hour is 0: input should be greater than 0"):
        parse(config(node={"max_usd_per_hour": 0}))


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"A B": "x"}, "engine.environment.A B is 'A B': a variable's name has letters, digits and underscores"),
        ({"1A": "x"}, "engine.environment.1A is '1A': a variable's name has letters"),
        ({"A": "x\nExecStartPre=/bin/false"}, "engine.environment.A is .*: a variable is one line"),
    ],
)
def test_a_variable_that_would_break_the_units_file_is_refused(variables: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        parse(config(engine={"environment": variables}))
