"""NLM011 conflicting-grants."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Evidence, Finding, Judged, Severity, Verdict, rule
from nlmdissect.history.fates import Grant
from nlmdissect.history.history import History
from nlmdissect.hosts.visibility import V
from nlmdissect.rules import words
from nlmdissect.rules.doubts import misread_grants, nearly, restarting, unsettled


@rule("NLM011", "conflicting-grants", Severity.ERROR, source="C-17")
def conflicting_grants(history: History) -> Iterator[Verdict]:
    """Two owners hold overlapping locks, one exclusive, and no restart explains it.

    Why it matters: two applications write the same bytes, each sure to be alone.

    How it is seen: a grant that overlaps a lock which was granted to another owner before, by frames in this
    capture, and that its owner has not unlocked, with no restart of server or client in between. Compared at the
    time of the server's answers: an UNLOCK that is under way does not count as held. Owners of one client with one
    svid are one owner to Linux, FreeBSD and illumos.

    What it cannot see: a release by an administrator or by the server itself, and an UNLOCK that the capture lost:
    where a loss shows, it is only suspected. The same file under two handles (NFSv2 and v3, two exports) is not
    recognised as one.

    What to do: in a cluster check that its nodes share their locks, and that no two of them serve one file system;
    elsewhere it is a server bug worth reporting with these frames. On Linux compare /proc/locks of the nodes (GFS2
    and OCFS2 share locks by dlm: `dlm_tool ls`), on ONTAP `vserver locks show`.
    """
    yield Judged(history.walked.hold_count)
    by: dict[tuple[int, int, int], list[Grant]] = {}
    for grant in history.walked.table.collisions:
        by.setdefault((grant.file.server, grant.owner.client, grant.by.client), []).append(grant)
    for grants in by.values():
        first = grants[0]
        server, client, other = first.file.server, first.owner.client, first.by.client
        end = max(g.at.time for g in grants)
        doubts = history.visibility.all(
            (client, server), (V.SPAN, V.NO_LOSS, V.BOTH_WAYS, V.DECODED), first.piece.granted.time, end
        )
        doubts += history.visibility.all((other, server), (V.NO_LOSS, V.DECODED), first.asked.time, end)
        # a restart of the first client, told by an SM_NOTIFY that is not in the capture, would explain the second grant
        if not history.lives.lived_on(client, first.piece.granted.time, end):
            doubts += history.visibility.all((client, server), (V.NSM,), first.piece.granted.time, end)
        like = misread_grants(history, grants)
        loser, winner = words.host(history, client), words.host(history, other)
        proof = [e for g in grants for e in (words.taken(history, g), words.granted(history, g.file, g.owner, g.piece))]
        yield Finding(
            f"{words.host(history, server)} granted {words.span_text(first.start, first.end)} to {winner} while "
            f"{loser} holds its {words.lock_text(history, first.file, first.owner, first.piece)}",
            words.evidence(proof, [Evidence(g.asked, "NLM_LOCK") for g in grants]),
            consequence="Two owners may write the same bytes." + words.because(doubts) + nearly(like),
            remedy="Check that the server's nodes share their lock state; report it to the vendor with these frames.",
            confidence=words.confidence(
                doubts,
                also=client != other
                and not like
                and not unsettled(history, grants)
                and not restarting(history, grants)
                and words.heard_after(history, client, end),
            ),
            server=server,
            client=client,
            other=other,
            locks=tuple(words.lock(history, g.file, g.owner, g.piece) for g in grants),
        )
