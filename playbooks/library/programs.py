#!/usr/bin/python
"""Ansible module: installs a role's programs in one round trip.

Comparing and copying two dozen files one by one takes seconds of each run; this takes one call for all of them.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule

DOCUMENTATION = """
module: programs
short_description: Install many small text files in one round trip
description:
  - Writes each file that is not there or differs, each at once; what begins with C(#!) may be executed.
  - Of each Python package among them, files that are not named are removed.
options:
  directory:
    description: Where the files' paths begin.
    type: path
    required: true
  files:
    description: Of each file its C(path), relative, and its C(content); the lookup C(role_files) gives them.
    type: list
    elements: dict
    required: true
"""

EXAMPLES = """
- name: Install the programs
  programs:
    directory: /usr/local/lib/nodestack
    files: "{{ query('role_files', 'nodestack_fabric/*.py', 'fabric-gate') }}"
"""

RETURN = """
written:
  description: Paths of the files that were written, or would be.
  type: list
  elements: str
removed:
  description: Paths of the files that were removed, or would be.
  type: list
  elements: str
"""

PACKAGE_MARK = "__init__.py"
COMPILED = "__pycache__"


def expected_mode(content: str) -> int:
    """Return a file's mode: root writes, all read, and programs are executed.

    >>> oct(expected_mode("#!/bin/sh"))
    '0o755'
    """
    return 0o755 if content.startswith("#!") else 0o644


def differs(path: Path, content: str) -> bool:
    """Tell whether a file is missing, or other than it must be."""
    if path.is_symlink() or not path.is_file():
        return True
    status = path.stat()
    owned = (status.st_uid, status.st_gid) == (os.geteuid(), os.getegid())
    return not owned or status.st_mode & 0o7777 != expected_mode(content) or path.read_bytes() != content.encode()


def strangers(directory: Path, paths: set[str]) -> list[str]:
    """Return what lies in the packages among the files and is none of them; compiled modules do not count."""
    packages = {Path(path).parent for path in paths if Path(path).name == PACKAGE_MARK}
    found = [
        str(entry.relative_to(directory))
        for package in packages
        if (directory / package).is_dir()
        for entry in (directory / package).iterdir()
        if entry.name != COMPILED
    ]
    held = {str(parent) for path in paths for parent in (Path(path), *Path(path).parents)}
    return sorted(set(found) - held)


def write(path: Path, content: str) -> None:
    """Put a file in place at once: whoever reads sees the former or the whole new one."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(content)
            os.fchmod(file.fileno(), expected_mode(content))
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def remove(path: Path) -> None:
    """Remove a file, or a directory with all in it."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def install(directory: Path, files: dict[str, str], *, check: bool) -> tuple[list[str], list[str]]:
    """Install files and remove those of former versions.

    Args:
        directory: Where paths begin.
        files: Content by path.
        check: Only tell.

    Returns:
        Paths written and paths removed.
    """
    written = [path for path, content in files.items() if differs(directory / path, content)]
    removed = strangers(directory, set(files))
    if check:
        return written, removed
    for path in written:
        make_parents(directory, Path(path).parent)
        write(directory / path, files[path])
    for path in removed:
        remove(directory / path)
    return written, removed


def make_parents(directory: Path, parent: Path) -> None:
    """Make the directories on the way to a file, readable by all whatever the umask."""
    for place in (directory, *(directory / step for step in [*reversed(parent.parents), parent])):
        if not place.is_dir():
            place.mkdir(parents=True)
            place.chmod(0o755)


def main() -> None:
    """Read the arguments, install, tell."""
    module = AnsibleModule(
        argument_spec={
            "directory": {"type": "path", "required": True},
            "files": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {"path": {"type": "str", "required": True}, "content": {"type": "str", "required": True}},
            },
        },
        supports_check_mode=True,
    )
    arguments: dict[str, Any] = module.params
    files: dict[str, str] = {file["path"]: file["content"] for file in arguments["files"]}
    for path in files:
        if os.path.isabs(path) or ".." in Path(path).parts:
            module.fail_json(msg=f"files: {path} leads out of the directory; paths are relative to it")
    try:
        written, removed = install(Path(arguments["directory"]), files, check=module.check_mode)
    except OSError as error:
        module.fail_json(msg=f"the programs cannot be installed: {error}")
    # The arguments would be all programs once more, in each record of the task.
    module.exit_json(changed=bool(written or removed), written=written, removed=removed, invocation={})


if __name__ == "__main__":
    main()
