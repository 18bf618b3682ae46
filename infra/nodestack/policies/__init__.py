"""Policies: rules over what a stack declares, pure and in one place; the pack only passes values on."""
