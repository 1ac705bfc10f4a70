"""CAP006 no-lock-traffic."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Evidence, Finding, Judged, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.protocols import MOUNT, NFS, NLM, NSM, PORTMAP
from nlmdissect.rules.cap001_filtered_capture import is_filtered
from nlmdissect.rules.traffic import calls_of, first_frame_of


@rule("CAP006", "no-lock-traffic", Severity.INFO, source="PEERS trap ix")
def no_lock_traffic(history: History) -> Iterator[Verdict]:
    """NFS is here, NLM never: NFSv4, `nolock`/`local_lock`, or a filter; says which it looks like.

    Why it matters: "no finding" would sound like "healthy". Without NLM there is nothing to judge, and often
    nothing is wrong.

    How it is seen: NFS calls, and no NLM call. Only NFSv4: it locks inside NFS. NFSv3 with MOUNT or portmap calls:
    the mount is probably `nolock` or `local_lock`, or nobody locks. NFSv3 without any of them: the capture began
    after the mount, or a filter hides the other ports.

    What it cannot see: locks inside NFSv4, and local locks of a `nolock` client; both are none of NLM's business.

    What to do: nothing, if that is what was meant. Else `grep -E 'nolock|local_lock' /proc/mounts` on the client.
    """
    nfs = history.traffic.calls(NFS)
    yield Judged(1 if nfs else 0)
    if not nfs or calls_of(history, NLM) or is_filtered(history):
        return
    if not nfs.get(2) and not nfs.get(3):
        looks = "only NFSv4 is here, which locks inside NFS"
    elif calls_of(history, MOUNT, PORTMAP, NSM):
        looks = "it looks like a mount with nolock or local_lock, or like applications that lock nothing"
    else:
        looks = (
            "no MOUNT and no portmap call is here either: the capture began after the mount, "
            "or a filter hides other ports"
        )
    yield Finding(
        f"NFS is in this capture, NLM is not: {looks}",
        (Evidence(first_frame_of(history), "NFS"),),
        consequence="Nothing can be said about NLM locks.",
        remedy="Nothing, if that is what was meant; else look at the mount options of the client.",
    )
