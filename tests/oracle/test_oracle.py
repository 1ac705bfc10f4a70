"""Frame for frame, what we read of portmap, NLM and NSM (of MOUNT the headers) is what tshark reads, but for what is agreed.

pytest tests/oracle                            all captures
pytest tests/oracle -v -rP                     with the counts of each, and how often each agreed difference was met
pytest tests/oracle -k S12                     one of them
"""

from __future__ import annotations

from pathlib import Path

import pytest
from oracle import samples
from oracle.session import TSHARK, Session, version
from support.captures import SHARED, recordings

from nlmdissect.errors import CaptureError
from nlmdissect.oracle.agreed import AGREED

needs_tshark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
RECORDED = recordings()
# what tshark reads and we do not, and the word for it in our refusal
REFUSED = {
    "snoop": "Solaris snoop is not read, and the refusal says how to convert it",
    "SLIP": "SLIP is no link type on which NFS is captured",
}


@needs_tshark
@pytest.mark.parametrize("compared", RECORDED, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_recorded(session: Session, compared: Path) -> None:
    check(session, compared)


@needs_tshark
@pytest.mark.parametrize("compared", samples.NAMES)
def test_made(session: Session, compared: str) -> None:
    check(session, compared)


def check(session: Session, capture: Path | str) -> None:
    try:
        checked = session.result(capture)
    except CaptureError as error:
        if not any(word in str(error) for word in REFUSED):
            raise
        return
    if checked is not None:
        surprises, torn = checked.surprises, checked.result.torn
        assert not surprises, "\n".join([f"{len(surprises)} surprises", *map(str, surprises[:20])])
        assert not torn, "\n".join(["the table of calls differs from the codec", *torn[:20]])


@needs_tshark
def test_no_agreed_difference_is_stale(session: Session) -> None:
    """Runs last: only after all captures were compared can it be said that none needs a row."""
    if session.compared < {*RECORDED, *samples.NAMES} or not SHARED.exists() or samples.EDITCAP is None:
        pytest.skip("not all captures were compared")
    unused = [row for row in AGREED if row.concerns(version()) and not session.agreed[row]]
    assert not unused, "\n".join(f"{row.field}: {row.reason}" for row in unused)
