"""Clouds on this machine that keep the contracts of real ones, odd answers included: for tests, and to try stacks."""
