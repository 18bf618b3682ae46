"""The provider's gRPC surface: finds the resource, translates to typed calls and back, decides nothing."""

import json
from collections.abc import Callable
from threading import Event
from typing import Any

import grpc
from google.protobuf.empty_pb2 import Empty
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import plugin_pb2, provider_pb2
from pulumi.runtime.proto.provider_pb2_grpc import ResourceProviderServicer
from pydantic import ValidationError

from nodestack import clouds
from nodestack.clouds.base import Account, Cloud
from nodestack.errors import AmbiguousError, SettingsError
from nodestack.plugin.failures import abort, abort_keeping, reason, without
from nodestack.plugin.progress import Silence, Sink
from nodestack.plugin.properties import decode, encode, secrets
from nodestack.plugin.resources import RESOURCES
from nodestack.plugin.resources.base import Call, Resource, dump

VERSION = "0.1.0"

_PROVIDER_KEYS = frozenset({"version", "pluginDownloadURL"})


class Servicer(ResourceProviderServicer):
    """Serves Volume, Node and Configuration.

    Args:
        connect: Returns where progress goes, given the engine's address.
        cancelled: Set by Cancel; every call that waits watches it.
        open_account: Returns the client of an account.
    """

    def __init__(
        self,
        connect: Callable[[str], Sink],
        cancelled: Event,
        open_account: Callable[[Account], Cloud] = clouds.open_account,
    ) -> None:
        self._connect = connect
        self._cancelled = cancelled
        self._open_account = open_account
        self._sink: Sink = Silence()

    def attach(self, engine_address: str) -> None:
        """Send progress to an engine from now on."""
        self._sink = self._connect(engine_address)

    def Handshake(
        self, request: provider_pb2.ProviderHandshakeRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ProviderHandshakeResponse:
        """Learn where the engine is; say that secrets are taken and given wrapped."""
        self.attach(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True)

    def Attach(self, request: plugin_pb2.PluginAttach, context: grpc.ServicerContext) -> Empty:
        """Learn where an engine is that did not start this process."""
        self.attach(request.address)
        return Empty()

    def Configure(
        self, request: provider_pb2.ConfigureRequest, context: grpc.ServicerContext
    ) -> provider_pb2.ConfigureResponse:
        """Take no configuration: each resource names its account."""
        return provider_pb2.ConfigureResponse(acceptSecrets=True, supportsPreview=True)

    def CheckConfig(
        self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext
    ) -> provider_pb2.CheckResponse:
        """Keep nothing of the stack's configuration, which arrives here because plugin and project share a name."""
        kept = {name: value for name, value in request.news.fields.items() if name in _PROVIDER_KEYS}
        return provider_pb2.CheckResponse(inputs=Struct(fields=kept))

    def DiffConfig(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """No configuration of the provider is a reason to touch a resource."""
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    def GetPluginInfo(self, request: Empty, context: grpc.ServicerContext) -> plugin_pb2.PluginInfo:
        """Return the plugin's version."""
        return plugin_pb2.PluginInfo(version=VERSION)

    def GetSchema(
        self, request: provider_pb2.GetSchemaRequest, context: grpc.ServicerContext
    ) -> provider_pb2.GetSchemaResponse:
        """Name the resources; their classes are part of the program, nothing is generated from this."""
        schema = {"name": "nodestack", "version": VERSION, "resources": {token: {} for token in RESOURCES}}
        return provider_pb2.GetSchemaResponse(schema=json.dumps(schema))

    def Check(self, request: provider_pb2.CheckRequest, context: grpc.ServicerContext) -> provider_pb2.CheckResponse:
        """Return the inputs with everything that is wrong with them."""
        resource = _resource(request.urn, context)
        hidden = secrets(request.news)
        try:
            problems = resource.check(decode(request.olds), decode(request.news))
        except Exception as error:
            abort(context, error, hidden)
        failures = [
            provider_pb2.CheckFailure(property=problem.path, reason=without(hidden, problem.reason))
            for problem in problems
        ]
        return provider_pb2.CheckResponse(inputs=request.news, failures=failures)

    def Diff(self, request: provider_pb2.DiffRequest, context: grpc.ServicerContext) -> provider_pb2.DiffResponse:
        """Return what an update would change, or refuse it."""
        resource = _resource(request.urn, context)
        try:
            outputs = resource.parse_outputs(decode(request.olds))
            return resource.diff(decode(request.old_inputs), decode(request.news), outputs).response()
        except Exception as error:
            abort(context, error, secrets(request.news))

    def Create(self, request: provider_pb2.CreateRequest, context: grpc.ServicerContext) -> provider_pb2.CreateResponse:
        """Make or adopt; where that began and failed, the engine gets what exists to go on with."""
        resource = _resource(request.urn, context)
        hidden = secrets(request.properties)
        try:
            news = decode(request.properties)
            if request.preview:
                return provider_pb2.CreateResponse(
                    properties=encode(resource.preview(news, None)), refresh_before_update=True
                )
            made = resource.create(_parsed(resource, news), self._call(request.urn, request.timeout))
        except Exception as error:
            abort(context, error, hidden)
        outputs = encode(dump(made.outputs))
        if made.failure is not None:
            abort_keeping(context, made.resource_id, outputs, made.failure, hidden)
        return provider_pb2.CreateResponse(id=made.resource_id, properties=outputs, refresh_before_update=True)

    def Read(self, request: provider_pb2.ReadRequest, context: grpc.ServicerContext) -> provider_pb2.ReadResponse:
        """Return the resource as it is, an empty id when it is surely gone."""
        resource = _resource(request.urn, context)
        hidden = secrets(request.inputs)
        if not request.inputs.fields:
            refused = "import and get are not offered: declare the resource, what bears its name is adopted"
            abort(context, SettingsError(refused))
        try:
            outputs = resource.parse_outputs(decode(request.properties))
            args = _parsed(resource, decode(request.inputs))
            seen = resource.read(request.id, args, outputs, self._call(request.urn))
        except AmbiguousError as error:
            # An error here would stop `destroy` as well; what is recorded stays, and whoever needs the resource fails.
            self._sink.warn(request.urn, f"not refreshed: {reason(error, hidden)}")
            return provider_pb2.ReadResponse(
                id=request.id, properties=request.properties, inputs=request.inputs, refresh_before_update=True
            )
        except Exception as error:
            abort(context, error, hidden)
        if seen is None:
            return provider_pb2.ReadResponse()
        return provider_pb2.ReadResponse(
            id=request.id, properties=encode(dump(seen)), inputs=request.inputs, refresh_before_update=True
        )

    def Update(self, request: provider_pb2.UpdateRequest, context: grpc.ServicerContext) -> provider_pb2.UpdateResponse:
        """Go on from whatever is there to the new inputs; what is known survives a failure."""
        resource = _resource(request.urn, context)
        hidden = secrets(request.news) | secrets(request.old_inputs)
        try:
            news, outputs = decode(request.news), resource.parse_outputs(decode(request.olds))
            if request.preview:
                return provider_pb2.UpdateResponse(
                    properties=encode(resource.preview(news, outputs)), refresh_before_update=True
                )
            made = resource.update(
                request.id, _parsed(resource, news), outputs, self._call(request.urn, request.timeout)
            )
        except Exception as error:
            abort_keeping(context, request.id, request.olds, error, hidden)
        properties = encode(dump(made.outputs))
        if made.failure is not None:
            abort_keeping(context, made.resource_id, properties, made.failure, hidden)
        return provider_pb2.UpdateResponse(properties=properties, refresh_before_update=True)

    def Delete(self, request: provider_pb2.DeleteRequest, context: grpc.ServicerContext) -> Empty:
        """Make it gone."""
        resource = _resource(request.urn, context)
        try:
            args = _parsed(resource, decode(request.old_inputs))
            outputs = resource.parse_outputs(decode(request.properties))
            resource.delete(request.id, args, outputs, self._call(request.urn))
        except Exception as error:
            abort(context, error, secrets(request.old_inputs))
        return Empty()

    def Cancel(self, request: Empty, context: grpc.ServicerContext) -> Empty:
        """Tell every call that waits to end; also comes at the end of every normal run."""
        self._cancelled.set()
        return Empty()

    def _call(self, urn: str, timeout_s: float = 0) -> Call:
        return Call(self._sink.reporter(urn), self._cancelled, self._open_account, timeout_s)


def _resource(urn: str, context: grpc.ServicerContext) -> Resource[Any, Any]:
    token = urn.split("::")[2].rsplit("$", 1)[-1] if urn.count("::") > 1 else urn
    if token not in RESOURCES:
        abort(context, SettingsError(f"there is no resource {token}, only {', '.join(sorted(RESOURCES))}"))
    return RESOURCES[token]


def _parsed(resource: Resource[Any, Any], properties: Any) -> Any:
    try:
        return resource.parse(properties)
    except ValidationError as error:
        missing = sorted({".".join(str(part) for part in item["loc"]) for item in error.errors(include_input=False)})
        raise SettingsError(
            f"the state of {resource.token} is of another version, {', '.join(missing)} cannot be read: "
            "use the version it was made with"
        ) from None
