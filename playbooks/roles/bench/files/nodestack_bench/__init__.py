"""Measure what the served model gives: runs on the node, from the standard library of Python 3.10 or later.

exposition   what an engine says at /metrics: counters and histograms, and the share of a histogram below a value
lengths      how long real requests were, and which max-model-len follows from it
measure      one bounded run of `vllm bench serve` in a unit of its own, and its figures
compare      figures beside those of a former run
run          the command: measures, compares, and writes the record to the volume and to the node's results
"""
