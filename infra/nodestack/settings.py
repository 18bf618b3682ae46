"""Everything a stack may configure: frozen, documented, and refused as a whole when any of it is wrong."""

import json
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, SecretStr, ValidationError, model_validator
from pydantic_core import ErrorDetails

from nodestack.errors import SettingsError

NAMESPACE = "nodestack"


class Section(BaseModel):
    """Base of all sections: immutable, unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class CloudSettings(Section):
    """Who makes the machine.

    Attributes:
        kind: `local` makes systemd-nspawn machines on this host.
        directory: Where the local cloud keeps nodes and disks, relative to the project.
        hardware_profile: Recorded hardware that a local node's driver packages replay.
    """

    kind: Literal["local"]
    directory: str = ".nodestack/local"
    hardware_profile: str = "h100-sxm5-x8"


class NodeSettings(Section):
    """The machine.

    Attributes:
        shape: A node shape of the catalogue.
        driver_repository: Apt repository of the driver packages.
        driver_repository_key_url: Where that repository's armored signing key is fetched.
        fabric_wait_s: Seconds the fabric may take to complete after boot.
        ready_timeout_s: Seconds from creation until SSH and cloud-init are done.
    """

    shape: str
    driver_repository: str
    driver_repository_key_url: str
    fabric_wait_s: Annotated[int, Field(ge=0, le=3600)] = 300
    ready_timeout_s: Annotated[int, Field(gt=0, le=7200)] = 1800


class VolumeSettings(Section):
    """The disk that keeps the weights.

    Attributes:
        size_gib: Size in GiB; may grow, never shrink.
    """

    size_gib: Annotated[int, Field(gt=0, le=64_000)]


class ModelSettings(Section):
    """What is served.

    Attributes:
        name: A model of the catalogue.
        format: One of its formats.
        commit: 40 hex digits; left out, the catalogue's pin where it has one.
        hub: Base URL of the hub, as HF_ENDPOINT.
        allow_high_performance_fetch: Fetch 16 files at once and fill the line, instead of 4.
    """

    name: str
    format: str
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")] | None = None
    hub: str = "https://huggingface.co"
    allow_high_performance_fetch: bool = True


class EngineSettings(Section):
    """The inference engine.

    Attributes:
        version: A vLLM version of the catalogue.
        build: `cuda`, or `cpu` where no GPU computes.
        wheels: URL of a flat index to install from instead of PyPI.
        start_timeout_s: Seconds from start until the engine must be healthy.
        environment: Extra variables of the service; never secrets.
    """

    version: str
    build: Literal["cuda", "cpu"] = "cuda"
    wheels: str = ""
    start_timeout_s: Annotated[int, Field(gt=0)] = 1800
    environment: dict[str, str] = Field(default_factory=dict)


class ServingSettings(Section):
    """How it is served.

    Attributes:
        max_model_len: Longest sequence in tokens, prompt and reply.
        max_num_seqs: Sequences in flight at most.
        max_num_batched_tokens: Tokens a step computes at most.
        gpu_memory_utilization: Fraction of visible memory the engine may take.
        kv_cache_dtype: `fp8` halves the cache where the engine's device can.
        listen_address: Address the engine binds; the default is reached through SSH only.
        shutdown_timeout_s: Seconds that requests in flight get on stop.
        options: Engine options beyond these, by name without dashes.
    """

    max_model_len: Annotated[int, Field(gt=0)] = 32768
    max_num_seqs: Annotated[int, Field(gt=0)] = 32
    max_num_batched_tokens: Annotated[int, Field(gt=0)] = 8192
    gpu_memory_utilization: Annotated[float, Field(gt=0, le=1)] = 0.90
    kv_cache_dtype: Literal["auto", "fp8"] = "fp8"
    listen_address: str = "127.0.0.1"
    shutdown_timeout_s: Annotated[int, Field(ge=0, le=3600)] = 120
    options: dict[str, JsonValue] = Field(default_factory=dict)


class Settings(Section):
    """A whole stack.

    Attributes:
        api_key: Secret; what clients of the endpoint send as bearer token.
        ssh_private_key: Secret; OpenSSH ed25519 key that may log in to the node.
        hub_token: Secret; token for the hub, where the repository needs one.
    """

    cloud: CloudSettings
    node: NodeSettings
    volume: VolumeSettings
    model: ModelSettings
    engine: EngineSettings
    serving: ServingSettings = Field(default_factory=ServingSettings)
    api_key: Annotated[SecretStr, Field(min_length=16)]
    ssh_private_key: SecretStr
    hub_token: SecretStr | None = None

    @model_validator(mode="after")
    def _builds_match(self) -> Self:
        if self.serving.kv_cache_dtype == "fp8" and self.engine.build == "cpu":
            raise ValueError("serving.kv_cache_dtype is 'fp8', which the CPU build cannot do everywhere: set 'auto'")
        return self


def parse(config: Mapping[str, str]) -> Settings:
    """Return the settings of a stack.

    Args:
        config: The engine's configuration: keys like `nodestack:model`, values as strings, objects as JSON.

    Raises:
        SettingsError: One line for each problem, naming the key, what was found and what is allowed.

    >>> parse({"nodestack:modle": "{}"})
    Traceback (most recent call last):
    ...
    nodestack.errors.SettingsError: the stack's settings are wrong in 8 places:
      nodestack:cloud is missing
      nodestack:node is missing
      nodestack:volume is missing
      nodestack:model is missing
      nodestack:engine is missing
      nodestack:api_key is missing: `make init` generates it
      nodestack:ssh_private_key is missing: `make init` generates it
      nodestack:modle is no setting; did you mean nodestack:model?
    """
    prefix = f"{NAMESPACE}:"
    values = {key.removeprefix(prefix): _decode(value) for key, value in config.items() if key.startswith(prefix)}
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = [_explain(problem) for problem in error.errors()]
    count = "1 place" if len(problems) == 1 else f"{len(problems)} places"
    raise SettingsError("\n  ".join([f"the stack's settings are wrong in {count}:", *problems]))


def _decode(value: str) -> Any:
    if value[:1] in "{[":
        try:
            return json.loads(value)
        except json.JSONDecodeError:
            return value
    return value


def _explain(problem: ErrorDetails) -> str:
    path = [str(part) for part in problem["loc"]]
    key = f"{NAMESPACE}:{'.'.join(path)}" if path else NAMESPACE
    kind, context = problem["type"], problem.get("ctx", {})
    if kind == "missing":
        hint = ": `make init` generates it" if key.endswith(("api_key", "ssh_private_key")) else ""
        return f"{key} is missing{hint}"
    if kind == "extra_forbidden":
        return f"{key} is no setting{_suggest(path)}"
    if kind == "value_error":
        return f"{NAMESPACE}:{context['error']}"
    if path == ["model", "commit"]:
        found = str(problem["input"])
        return f"{key} is {found!r}: a pin is 40 hex digits, branches, tags and short hashes are refused"
    if path and path[0] in {"api_key", "ssh_private_key", "hub_token"}:
        return f"{key}: {problem['msg']}"
    return f"{key} is {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"


def _suggest(path: list[str]) -> str:
    known = _keys(path[:-1])
    close = get_close_matches(path[-1], known, n=1)
    if close:
        return f"; did you mean {NAMESPACE}:{'.'.join([*path[:-1], close[0]])}?"
    return f"; known here: {', '.join(known)}" if known else ""


def _keys(path: Iterable[str]) -> list[str]:
    section: Any = Settings
    for part in path:
        section = section.model_fields[part].annotation
        if not (isinstance(section, type) and issubclass(section, BaseModel)):
            return []
    return list(section.model_fields)
