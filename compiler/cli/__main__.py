"""``python -m octavo.compiler.cli``: the command without its script."""

import sys

from octavo.compiler.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
