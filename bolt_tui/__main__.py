"""`python -m bolt_tui` is `bolt`."""

import sys

from bolt_tui.cli import main

sys.exit(main())
