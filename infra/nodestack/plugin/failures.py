"""How errors cross to the engine: one line a failure, the id kept where something exists, no secret in any text."""

import sys
import traceback
from collections.abc import Iterable
from typing import NoReturn

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto.provider_pb2 import ErrorResourceInitFailed

# Not google.rpc: importing both crashes with "duplicate symbol".
from pulumi.runtime.proto.status_pb2 import Status

from nodestack.errors import Interrupted, NodestackError

_DETAILS = "grpc-status-details-bin"
_HIDDEN = "[secret]"
_SHORTEST_SECRET = 6


def reason(error: Exception, secrets: Iterable[str] = ()) -> str:
    """Return what to tell a person: the sentences of our own errors, of any other only its type.

    Where a foreign error was raised goes to stderr without its text, which may hold anything.
    """
    if isinstance(error, NodestackError):
        return without(secrets, str(error))
    frames = traceback.extract_tb(error.__traceback__)
    where = "\n".join(f"  {frame.filename}:{frame.lineno} in {frame.name}" for frame in frames)
    print(f"nodestack plugin: unexpected {type(error).__name__} at\n{where}", file=sys.stderr, flush=True)
    return (
        f"the plugin failed unexpectedly with {type(error).__name__}: a mistake in nodestack, not in your stack; "
        "what exists is kept, run again, and report it with the lines above if it stays"
    )


def abort(context: grpc.ServicerContext, error: Exception, secrets: Iterable[str] = ()) -> NoReturn:
    """End a call with an error that leaves the engine's state as it was."""
    code = grpc.StatusCode.ABORTED if isinstance(error, Interrupted) else grpc.StatusCode.FAILED_PRECONDITION
    context.abort(code, reason(error, secrets))


def abort_keeping(
    context: grpc.ServicerContext, resource_id: str, outputs: Struct, error: Exception, secrets: Iterable[str] = ()
) -> NoReturn:
    """End a Create or Update so that the engine records the resource, and goes on with it by Update next time."""
    text = reason(error, secrets)
    failed = ErrorResourceInitFailed(id=resource_id, properties=outputs, reasons=[text], refresh_before_update=True)
    detail = AnyMessage()
    detail.Pack(failed)
    code = grpc.StatusCode.UNKNOWN
    status = Status(code=code.value[0], message=text, details=[detail])
    context.set_trailing_metadata(((_DETAILS, status.SerializeToString()),))
    context.abort(code, text)


def without(secrets: Iterable[str], text: str) -> str:
    """Return a text with every secret in it hidden; what is too short to be one would hide half the words."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, _HIDDEN)
    return text
