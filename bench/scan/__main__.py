"""`python -m bench.scan`, the same as `python -m bench scan`."""

import sys

from bench.scan.command import main

sys.exit(main(sys.argv[1:]))
