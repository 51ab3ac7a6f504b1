"""`python -m stockkeeper` is the `stockkeeper` program."""

from stockkeeper.cli import main

if __name__ == "__main__":
    main()
