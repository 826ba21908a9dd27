"""`python -m engram_eval`."""

import sys

from engram_eval.cli.main import main

sys.exit(main())
