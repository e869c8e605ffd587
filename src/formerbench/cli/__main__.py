"""``python -m formerbench.cli`` is ``formerbench``."""

import sys

from formerbench.cli import main

sys.exit(main())
