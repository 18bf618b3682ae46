"""Pure arithmetic: does a model fit a node, with which options, at what cost."""
