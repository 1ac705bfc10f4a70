"""What every worker needs, for the process that workers are forked from to import once. Nobody else imports this."""

from __future__ import annotations

import gc
import signal
from contextlib import suppress

import nlmdissect.analysis
import nlmdissect.audit.parquet
import nlmdissect.audit.rows
import nlmdissect.history.history
import nlmdissect.history.parts
from nlmdissect.capture.compiled import expect_many
from nlmdissect.errors import UsageError

with suppress(UsageError):  # the command itself says what is not installed
    nlmdissect.audit.parquet.arrow()
expect_many()
signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to everybody: who started the workers ends them
gc.set_threshold(200_000)  # as the command has it: next to nothing of what is made is garbage
gc.collect()
gc.freeze()  # what is here stays: nobody need look through it again, and workers share its memory
