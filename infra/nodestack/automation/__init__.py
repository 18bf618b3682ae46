"""Drive the Pulumi engine for the user: its environment, recovery after a kill, up and outputs."""
