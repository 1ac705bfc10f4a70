"""How findings speak of requests: what was asked, and by whom."""

from __future__ import annotations

from nlmdissect.findings import Evidence, LockRef
from nlmdissect.history.history import History
from nlmdissect.protocols.nlm import END
from nlmdissect.rpc.requests import Op, Request
from nlmdissect.rules.words import kind_of, span_text

NO_KIND = frozenset({Op.UNLOCK, Op.FREE_ALL, Op.SHARE, Op.UNSHARE})  # these do not say read or write


def procedure(r: Request) -> str:
    """``NLM_LOCK_MSG``, as the specification writes it."""
    name = "NM_LOCK" if r.op is Op.NM_LOCK else f"NLM_{r.op}"
    return f"{name}_MSG" if r.asynchronous else name


def range_text(history: History, r: Request) -> str:
    """``write 0-99 of svid 0 on /export:/dir/file``."""
    what = span_text(r.start, r.end) if r.op in NO_KIND else f"{kind_of(r.exclusive)} {span_text(r.start, r.end)}"
    return f"{what} of svid {r.svid} on {history.called(r.server, r.fh, r.at)}"


def ref(history: History, r: Request) -> LockRef:
    """The lock that a request is about; ``at`` is where it was asked for."""
    texts, name = history.texts, history.names.caller(r.client, r.oh, r.svid)
    end = None if r.end == END else r.end
    return LockRef(r.server, texts[r.fh], name, r.svid, texts[r.oh], r.start, end, r.exclusive, r.at)


def sent(r: Request, what: str = "") -> list[Evidence]:
    """Every transmission of a request."""
    return [Evidence(send.at, f"{procedure(r)}{what}" + (", again" if n else "")) for n, send in enumerate(r.sends)]


def heard(history: History, host: int, after: int) -> bool:
    """Whether a host sent anything after a moment (ns)."""
    return history.traffic.heard(host, after)
