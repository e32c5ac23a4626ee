"""``python -m waddle``: the command line."""

from .waddle_cli import main

if __name__ == "__main__":
    main()
