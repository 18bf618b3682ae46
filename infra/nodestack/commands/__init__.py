"""The commands of the command line, a module each; imported only when its command runs."""
