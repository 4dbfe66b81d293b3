"""``python -m raybead``: the same as the ``raybead`` command."""

from raybead.cli import main

if __name__ == "__main__":
    main()
