"""`python -m medhub.cli` is the `medhub` command."""

from medhub.cli import main

main()
