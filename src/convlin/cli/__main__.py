"""`python -m convlin.cli`."""

from convlin.cli.app import main

main()
