"""What else than a visibility condition can make a rule unsure. Shared by the rules about two owners of one range."""

from __future__ import annotations

from nlmdissect.history.fates import Grant
from nlmdissect.history.history import History
from nlmdissect.rpc.requests import Op

CHANGES = frozenset({Op.LOCK, Op.NM_LOCK, Op.UNLOCK})


def unsettled(history: History, grants: list[Grant]) -> bool:
    """Whether an owner asked to change, before it lost a range, what it held there, and no answer is in the capture.

    It may have been a downgrade or an UNLOCK that the server did carry out.
    """
    return any(
        r.op in CHANGES
        and (r.server, r.fh, r.client, r.svid) == (*g.file, g.owner.client, g.owner.svid)
        and r.start <= g.end
        and g.start <= r.end
        and g.piece.granted < r.at < g.at
        and not any(answer.at < g.at for answer in r.answers)
        for g in grants
        for r in history.requests
    )
