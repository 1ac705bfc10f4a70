"""The command line: options, and the calls that they stand for. What is done is done elsewhere."""

from __future__ import annotations

import errno
import gc
import os
import sys
import traceback
from typing import NoReturn

import click

# in the order in which --help lists their commands
# isort: off
from nlmdissect.cli import capture, slice, crosscheck, audit, pages  # noqa: F401

# isort: on
from nlmdissect.cli.app import app
from nlmdissect.errors import NlmdissectError

USAGE, FAILED = 2, 3


def main() -> None:
    """The command. Ends the process with its exit status."""
    gc.set_threshold(200_000)  # next to nothing of what is made is garbage: modules, then records
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy would start some for algebra that nobody does here
    try:
        _leave(app(standalone_mode=False) or 0)
    except SystemExit:  # the reader of click's own words is gone
        sys.exit(0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except NlmdissectError as error:
        hint = error.hint or "Give a pcap or pcapng file (.gz, .zst and .xz too), or - for standard input."
        _refuse(error.message, hint)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            _fail()
        sys.stdout = None  # it would be flushed once more
        _refuse(f"the output cannot be written: {error.strerror}", "Make room.")
    except (KeyboardInterrupt, click.Abort) as stop:
        if isinstance(stop.__cause__, EOFError):  # for click that is an interrupt
            _fail()
        sys.exit(130)
    except Exception:
        _fail()


def _refuse(message: str, hint: str) -> NoReturn:
    from nlmdissect.escape import show as printable

    print(f"nlmdissect: {printable(message)}", file=sys.stderr)
    for line in hint.split("\n"):
        print(f"  {printable(line)}", file=sys.stderr)
    sys.exit(USAGE)


def _fail() -> NoReturn:
    print(f"nlmdissect: the program failed; please report this:\n{traceback.format_exc()}", file=sys.stderr)
    sys.exit(FAILED)


def _leave(status: int) -> None:
    """End at once: to give millions of records back one by one takes longer than to make some of them."""
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        sys.exit(status)
    os._exit(status)
