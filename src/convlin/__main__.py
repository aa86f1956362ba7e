"""`python -m convlin` is `convlin`."""

from convlin.cli import main

if __name__ == "__main__":
    main()
