"""Policies: rules over what a stack declares, pure and in one place; the pack that Pulumi runs only passes values on."""
