"""What every worker needs, to be imported once before any of them is forked."""

from __future__ import annotations

import gc

import nlmdissect.analysis
import nlmdissect.audit.parquet
import nlmdissect.audit.rows
import nlmdissect.history.history

nlmdissect.audit.parquet.arrow()
gc.collect()
gc.freeze()  # what is here stays: nobody need look through it again, and workers share its memory
