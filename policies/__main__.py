"""The policy pack: what `pulumi preview --policy-pack policies` runs."""

from pulumi_policy import PolicyPack

from nodestack.policies.pack import policies

PolicyPack(name="nodestack", policies=policies())
