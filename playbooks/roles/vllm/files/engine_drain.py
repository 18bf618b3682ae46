#!/usr/bin/python3 -IB
"""Keep requests out of the engine while it ends, and let them in once it answers; what its units run."""

import sys

sys.path.insert(0, "/usr/local/lib/nodestack")

from nodestack_vllm.drain import main

sys.exit(main())
