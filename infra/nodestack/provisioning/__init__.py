"""Reach a node, run a playbook on it, turn its events into progress and verdicts."""
