"""`python -m tunewright` is the `tunewright` command."""

from tunewright.cli import main

if __name__ == "__main__":
    main()
