"""Starts the plugin from source: puts infra/ on the path, where the package lies, and serves."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from nodestack.plugin.server import main

main()
