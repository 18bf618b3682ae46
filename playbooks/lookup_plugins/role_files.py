"""Reads many small files of a role at once, for the module `programs`."""

import glob
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase

DOCUMENTATION = """
name: role_files
short_description: Read many small files of a role at once
description: Gives what the module C(programs) installs, so that a node gets a role's programs in one round trip.
options:
  _terms:
    description: Names or globs within the role's directory C(files); each must match something.
    required: true
  names:
    description: What a file is called on the node, where it is called otherwise.
    type: dict
    default: {}
"""

EXAMPLES = """
- name: Install the programs
  programs:
    directory: /usr/local/lib/nodestack
    files: "{{ query('role_files', 'nodestack_fabric/*.py', 'fabric-gate') }}"
"""

RETURN = """
_raw:
  description: Of each file its C(path) in the directory of programs and its C(content).
  type: list
  elements: dict
"""


class LookupModule(LookupBase):  # type: ignore[misc]
    """The lookup `role_files`."""

    def run(self, terms: list[str], variables: Mapping[str, Any] | None = None, **kwargs: Any) -> list[dict[str, str]]:
        """Return path and content of each file that the terms name.

        Raises:
            AnsibleLookupError: A term matches nothing.
        """
        self.set_options(var_options=variables, direct=kwargs)
        names: Mapping[str, str] = self.get_option("names")
        files = Path(str((variables or {})["role_path"]), "files")
        found: list[dict[str, str]] = []
        for term in terms:
            paths = sorted(path for path in files.glob(term) if path.is_file())
            if not paths:
                raise AnsibleLookupError(f"{glob.escape(str(files))}/{term} matches no file")
            for path in paths:
                name = str(path.relative_to(files))
                found.append({"path": names.get(name, name), "content": path.read_text(encoding="utf-8")})
        return found
