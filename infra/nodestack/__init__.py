"""Declare a GPU node stack, get a verified, metered, private LLM endpoint."""
