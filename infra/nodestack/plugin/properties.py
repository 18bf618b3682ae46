"""Pulumi's property values to plain Python and back: secrets, unknowns and outputs travel as marked structs.

The marks are fixed by the engine's protocol, see sdk/go/common/resource/plugin/rpc.go of pulumi/pulumi (v3.259.0).
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Final, TypeAlias

from google.protobuf.struct_pb2 import ListValue, NullValue, Struct, Value
from pydantic import SecretStr

_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - a mark of the protocol, no secret
_OUTPUT = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_UNKNOWNS = frozenset(
    {
        _UNKNOWN,
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
    }
)


class Unknown(Enum):
    """The type of a value that is not known before other resources exist."""

    UNKNOWN = "unknown"


UNKNOWN: Final = Unknown.UNKNOWN

Plain: TypeAlias = "bool | int | float | str | list[Plain] | dict[str, Plain] | Unknown | None"
"""A property value without its marks."""

Properties: TypeAlias = dict[str, Plain]


def decode(struct: Struct) -> Properties:
    """Return a struct as plain Python: secrets unwrapped, whole numbers as int, unknown values as UNKNOWN.

    Raises:
        ValueError: It holds an asset, an archive or a resource, which no resource of this plugin takes.
    """
    return {name: _decode(value) for name, value in struct.fields.items()}


def secrets(struct: Struct) -> set[str]:
    """Return every text that is marked secret in a struct, so that error texts can be cleared of them."""
    found: set[str] = set()
    for value in struct.fields.values():
        _gather(value, found, marked=False)
    return found


def encode(properties: Mapping[str, object]) -> Struct:
    """Return plain Python as a struct: SecretStr is marked secret, UNKNOWN is marked unknown.

    Raises:
        TypeError: A value has no form in a struct.
    """
    return Struct(fields={name: _encode(value) for name, value in properties.items()})


def _decode(value: Value) -> Plain:
    match value.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if value.string_value in _UNKNOWNS else value.string_value
        case "bool_value":
            return value.bool_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() else number
        case "list_value":
            return [_decode(item) for item in value.list_value.values]
        case "struct_value":
            return _decode_struct(value.struct_value)
        case _:
            return None


def _decode_struct(struct: Struct) -> Plain:
    signature = _signature(struct)
    if signature == "":
        return decode(struct)
    if signature == _SECRET:
        return _decode(struct.fields["value"])
    if signature == _OUTPUT:
        return _decode(struct.fields["value"]) if "value" in struct.fields else UNKNOWN
    raise ValueError("assets, archives and resources are not taken as values: pass what is in them, or their id")


def _gather(value: Value, found: set[str], *, marked: bool) -> None:
    match value.WhichOneof("kind"):
        case "string_value" if marked and value.string_value not in _UNKNOWNS:
            found.add(value.string_value)
        case "list_value":
            for item in value.list_value.values:
                _gather(item, found, marked=marked)
        case "struct_value":
            fields = value.struct_value.fields
            signature = _signature(value.struct_value)
            secret = signature == _SECRET or (signature == _OUTPUT and fields["secret"].bool_value)
            if signature:
                _gather(fields["value"], found, marked=marked or secret)
            else:
                for item in fields.values():
                    _gather(item, found, marked=marked)


def _signature(struct: Struct) -> str:
    return struct.fields[_SIGNATURE].string_value if _SIGNATURE in struct.fields else ""


def _encode(value: object) -> Value:  # noqa: PLR0911 - one line a kind
    match value:
        case None:
            return Value(null_value=NullValue.NULL_VALUE)
        case Unknown():
            return Value(string_value=_UNKNOWN)
        case SecretStr():
            inner = _encode(value.get_secret_value())
            return Value(struct_value=Struct(fields={_SIGNATURE: Value(string_value=_SECRET), "value": inner}))
        case bool():
            return Value(bool_value=value)
        case int() | float():
            return Value(number_value=value)
        case str():
            return Value(string_value=value)
        case Mapping():
            return Value(struct_value=encode(value))
        case Sequence():
            return Value(list_value=ListValue(values=[_encode(item) for item in value]))
    raise TypeError(f"a value of type {type(value).__name__} has no form in Pulumi's state")
