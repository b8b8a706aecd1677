"""Bare git repositories: the interface that the rest of the Hub uses, on pygit2 for reads and commits."""
