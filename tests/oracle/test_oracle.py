"""Frame for frame, what we read of portmap, NLM and NSM (of MOUNT the headers) is what tshark reads, but for what is agreed.

pytest tests/oracle                            all captures
pytest tests/oracle -v -rP                     with the counts of each, and how often each agreed difference was met
pytest tests/oracle -k S12                     one of them
"""

from __future__ import annotations

from pathlib import Path

import pytest
from oracle import agreed, samples
from oracle.record import captures
from oracle.session import Session
from oracle.tshark import TSHARK
from support.captures import SHARED

needs_tshark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
RECORDED = captures()


@needs_tshark
@pytest.mark.parametrize("compared", RECORDED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_recorded(session: Session, compared: Path) -> None:
    check(session, compared)


@needs_tshark
@pytest.mark.parametrize("compared", samples.NAMES)
def test_made(session: Session, compared: str) -> None:
    check(session, compared)


def check(session: Session, capture: Path | str) -> None:
    result, surprises = session.result(capture)
    assert not surprises, "\n".join([f"{len(surprises)} surprises", *surprises[:20]])
    assert not result.torn, "\n".join(["the table of calls differs from the codec", *result.torn[:20]])


@needs_tshark
def test_no_agreed_difference_is_stale(session: Session) -> None:
    """Runs last: only after all captures were compared can it be said that none needs a row."""
    if session.compared < {*RECORDED, *samples.NAMES} or not SHARED.exists() or samples.EDITCAP is None:
        pytest.skip("not all captures were compared")
    unused = [row for row in (*agreed.AGREED, *agreed.FAULTS) if not session.agreed[row]]
    assert not unused, "\n".join(f"{row.field}: {row.reason}" for row in unused)
