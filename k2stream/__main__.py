"""Entry point that makes `python -m k2stream` the same as `k2`."""

from k2stream.cli import main

if __name__ == "__main__":
    main()
