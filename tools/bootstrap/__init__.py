"""Set-up on a bare machine, from the standard library alone: commands, uv, the environment, the engine, the caches."""
