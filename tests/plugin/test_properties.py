"""Values cross to Pulumi and back unchanged, with their secrets and unknowns."""

import pytest
from google.protobuf.struct_pb2 import Struct, Value
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from nodestack.plugin.properties import UNKNOWN, decode, encode, secrets

SIGNATURE = "4dabf18193072939515e22adb298388d"
OUTPUT = Value(string_value="d0e6a833031e9bbcd3f4e8bde6ca49a4")

plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(st.dictionaries(st.text(), plain))
def test_plain_values_come_back_as_they_were(properties: dict[str, object]) -> None:
    assert decode(encode(properties)) == properties


def test_whole_numbers_come_back_as_int_because_a_port_is_no_float() -> None:
    decoded = decode(encode({"port": 8000, "share": 0.5}))
    assert (type(decoded["port"]), type(decoded["share"])) == (int, float)


def test_a_secret_is_marked_on_its_way_out_and_plain_on_its_way_in() -> None:
    struct = encode({"key": SecretStr("sk-1")})
    assert struct.fields["key"].struct_value.fields[SIGNATURE].string_value == "1b47061264138c4ac30d75fd1eb44270"
    assert decode(struct) == {"key": "sk-1"}


def test_secrets_are_found_wherever_they_are_and_nothing_else() -> None:
    struct = encode({"a": {"b": [SecretStr("one"), "open"]}, "c": SecretStr("two"), "d": "open too"})
    assert secrets(struct) == {"one", "two"}


def test_an_unknown_value_keeps_being_unknown() -> None:
    assert decode(encode({"id": UNKNOWN})) == {"id": UNKNOWN}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [({}, UNKNOWN), ({"value": Value(number_value=7)}, 7)],
    ids=["not known yet", "known"],
)
def test_an_output_is_its_value_or_unknown(fields: dict[str, Value], expected: object) -> None:
    output = Struct(fields={SIGNATURE: OUTPUT, **fields})
    assert decode(Struct(fields={"it": Value(struct_value=output)})) == {"it": expected}


def test_a_secret_output_is_found() -> None:
    value, secret = Value(string_value="sk-2"), Value(bool_value=True)
    output = Struct(fields={SIGNATURE: OUTPUT, "value": value, "secret": secret})
    assert secrets(Struct(fields={"it": Value(struct_value=output)})) == {"sk-2"}


def test_an_asset_is_refused() -> None:
    asset = Struct(fields={SIGNATURE: Value(string_value="c44067f5952c0a294b673a41bacd8c17")})
    with pytest.raises(ValueError, match="assets, archives and resources are not taken"):
        decode(Struct(fields={"it": Value(struct_value=asset)}))
