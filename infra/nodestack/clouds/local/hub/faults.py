"""Faults on purpose, for tests and drills: a file of JSON that is read at each request.

It holds a list; the first fault that matches a request and is not used up is applied:

    [{"path": "*/model-00002-*", "cut_after_bytes": 400000},
     {"path": "*/config.json", "status": 503, "times": 2},
     {"path": "*.safetensors", "stall_after_bytes": 0, "stall_s": 60},
     {"path": "*.safetensors", "bytes_per_s": 100000, "times": 1000}]

`path` is a shell pattern over the request's path, `method` is GET unless said otherwise, `times` is 1. How often a
fault was used is counted by its content, from the time the hub started; give it another `id` to have it once more.
"""

from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from nodestack.clouds.base import Frozen


class Fault(Frozen):
    """One thing to do wrong.

    Attributes:
        id: Tells faults apart that are otherwise the same.
        path: Shell pattern over the request's path.
        method: HTTP method it applies to.
        times: How many requests it applies to.
        status: Answer with this error instead of the file.
        retry_after: Header of that name in the error.
        cut_after_bytes: Close the connection once this many bytes of the body were sent.
        stall_after_bytes: Fall silent once this many bytes of the body were sent.
        stall_s: For how many seconds.
        bytes_per_s: Send the body no faster than this.
    """

    id: str = ""
    path: str
    method: str = "GET"
    times: Annotated[int, Field(ge=1)] = 1
    status: Annotated[int, Field(ge=400, le=599)] | None = None
    retry_after: str = ""
    cut_after_bytes: Annotated[int, Field(ge=0)] | None = None
    stall_after_bytes: Annotated[int, Field(ge=0)] | None = None
    stall_s: float = 0.0
    bytes_per_s: Annotated[int, Field(ge=1)] | None = None


_FAULTS = TypeAdapter(list[Fault])


class Faults:
    """The faults of one control file, and how often each was used."""

    def __init__(self, control_file: Path | None) -> None:
        self._control_file = control_file
        self._used: Counter[Fault] = Counter()

    def take(self, method: str, path: str) -> Fault | None:
        """Return the fault for this request and count it, or None when it shall be answered as it should."""
        for fault in self._read():
            if fault.method == method and fnmatchcase(path, fault.path) and self._used[fault] < fault.times:
                self._used[fault] += 1
                return fault
        return None

    def _read(self) -> list[Fault]:
        if self._control_file is None:
            return []
        try:
            return _FAULTS.validate_json(self._control_file.read_bytes())
        except FileNotFoundError:
            return []
        except ValidationError:
            # Half written: whoever writes it will be done by the next request.
            return []
