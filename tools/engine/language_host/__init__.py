"""The Python language host of an engine that was built from Go modules, which come without one."""
