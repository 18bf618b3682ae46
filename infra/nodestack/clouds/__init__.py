"""One module a cloud behind one protocol: thin clients, no decisions."""
