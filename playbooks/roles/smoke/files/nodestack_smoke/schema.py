"""Whether a value fits a JSON schema of objects, strings, booleans and enums."""

import json
from typing import Any

_KINDS: dict[str, type] = {"object": dict, "string": str, "boolean": bool}


def mismatch(value: object, schema: dict[str, Any]) -> str:
    """Return where a value leaves a schema, or ""."""
    if not isinstance(value, _KINDS[schema["type"]]):
        return f"{json.dumps(value)} is no {schema['type']}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{json.dumps(value)} is none of {', '.join(schema['enum'])}"
    if isinstance(value, dict):
        properties = schema["properties"]
        for name in schema["required"]:
            if name not in value:
                return f"{name} is missing"
        for name, inner in value.items():
            if name not in properties:
                return f"{name} is not asked for"
            if wrong := mismatch(inner, properties[name]):
                return f"{name} {wrong}"
    return ""
