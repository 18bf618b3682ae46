"""Pulumi components: the weights volume, the GPU node, the serving configuration."""
