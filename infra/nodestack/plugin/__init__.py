"""The Pulumi resource provider over gRPC: translates, decides nothing."""
