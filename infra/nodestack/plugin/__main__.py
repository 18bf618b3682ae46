"""`python -m nodestack.plugin ENGINE_ADDRESS`: the same as starting infra/provider."""

from nodestack.plugin.server import main

main()
