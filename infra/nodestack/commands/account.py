"""Which account a command is about: a stack's, or the one that options name."""

import argparse
import os
from pathlib import Path

from nodestack import naming
from nodestack.automation import files, holdings, simulation
from nodestack.automation.checkout import find
from nodestack.clouds.accounts import Account
from nodestack.errors import SettingsError


def chosen(options: argparse.Namespace) -> Account:
    """Return the account of `--stack`, or of `--cloud`, asked at `--base-url` where that is given.

    Raises:
        SettingsError: Neither is given, or what is given is wrong.
        FileNotFoundError: It lies in a checkout, and this is none.
    """
    if not (options.stack or options.cloud):
        raise SettingsError("no cloud is named: say --cloud spheron, --cloud verda, or --stack NAME")
    values: dict[str, object] = {"kind": options.cloud}
    if options.stack:
        os.environ |= simulation.credentials(find(Path.cwd()), options.stack)
        section = dict(files.section(find(Path.cwd()), options.stack, "cloud"))
        if options.cloud in (None, section.get("kind")):
            values = section
    if options.base_url:
        values["base_url"] = options.base_url
    cloud = holdings.checked_cloud(values, "the cloud that is asked for")
    # Only the local cloud lies in a checkout.
    return naming.account(cloud, find(Path.cwd()).root if cloud.kind == "local" else Path())


def where(account: Account) -> str:
    """Return where an account is, for a person: base URL, directory or host."""
    told = account.model_dump()
    return str(told.get("base_url") or told.get("directory") or told.get("host"))
