"""What every command does alike: errors as one message, exit codes, no traceback without --debug.

Exit codes: 0 done, 1 ended by a loss (or a check that failed), 2 something the user can repair, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import NoReturn

from ..errors import LvsError

EXIT_OK, EXIT_LOST, EXIT_USER, EXIT_INTERRUPTED = 0, 1, 2, 130


def run_cli(main: Callable[[], int | None], debug: bool | None = None) -> NoReturn:
    """Run a command and exit with its code (None: 0). `debug` None: whether --debug is on the command line.

    An `LvsError` becomes its message on stderr and exit 2; with debug it comes through whole.
    """
    debug = "--debug" in sys.argv[1:] if debug is None else debug
    try:
        code = main() or EXIT_OK
        sys.stdout.flush()
    except LvsError as error:
        if debug:
            raise
        print(f"error: {error}", file=sys.stderr)
        code = EXIT_USER
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # The reader of our output (head, less) went away: not an error, and nothing more can be printed there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = EXIT_OK
    sys.exit(code)
