"""`python -m k2stream` is `k2`."""

from k2stream.cli import main

if __name__ == "__main__":
    main()
