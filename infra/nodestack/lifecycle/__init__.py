"""Find or adopt, create, wait, delete until gone; knows clouds, knows no Pulumi."""
