"""NLM006 released-without-restart."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Evidence, Finding, Judged, NotAssessed, Severity, Verdict, rule
from nlmdissect.history.fates import Grant
from nlmdissect.history.history import History
from nlmdissect.history.notices import between
from nlmdissect.hosts.visibility import V
from nlmdissect.machines.hold import H
from nlmdissect.rules import words
from nlmdissect.rules.doubts import gone_elsewhere, many_behind, unsettled


@rule("NLM006", "released-without-restart", Severity.ERROR, source="C-12")
def released_without_restart(history: History) -> Iterator[Verdict]:
    """Locks of a living client were released.

    Why it matters: the client believes that it holds them, and will never reclaim, for nobody tells it anything.

    How it is seen: a lock that was granted and not unlocked, SM_NOTIFY in the name of its client (or of another host
    with its name) to the server, and afterwards a conflicting grant; while the client's own TCP connections go on
    from before the notice to after it.

    What it cannot see: a release by an administrator or by the server itself, before anybody asks for the range; and
    whether a client that falls silent lives on, or restarted and told of it from its new address.

    What to do: find the sender of the notice (see NSM009); give clones names of their own; on servers that go by
    names (FreeBSD, macOS, Linux with nsm_use_hostnames=1) two hosts of one name free each other's locks. Restart the
    application that lost its lock.
    """
    by: dict[tuple[int, int], list[Grant]] = {}
    yield Judged(sum(1 for step in history.walked.loud if step.event == "notified_alive"))
    with history.dealings.looks.until_enough():
        for grant in history.walked.table.thefts:
            if notice := gone_elsewhere(history, grant):
                who, there = words.host(history, grant.owner.client), history.names.address(notice.sender)
                yield NotAssessed(f"whether {who}, silent since frame {notice.at.frame}, came back as {there}")
            elif grant.before is H.EXPOSED:
                by.setdefault((grant.file.server, grant.owner.client), []).append(grant)
    for (server, client), grants in by.items():
        first = grants[0]
        end = max(g.at.time for g in grants)
        doubts = history.visibility.all(
            (client, server), (V.SPAN, V.NO_LOSS, V.BOTH_WAYS, V.DECODED), first.piece.granted.time, end
        )
        alive = history.lives.lived_on(client, first.piece.granted.time, end)
        notices = [
            Evidence(t.at, f"SM_NOTIFY mon_name={t.name} state={t.state} from {words.host(history, t.sender)}")
            for t in between(history.notices.to(server), first.piece.granted, grants[-1].at)
            if history.names.notifies_for(t.sender, client)
        ]
        sure = bool(alive and notices) and not unsettled(history, grants) and not many_behind(history, client)
        yield Finding(
            f"{words.host(history, server)} dropped the "
            f"{words.lock_text(history, first.file, first.owner, first.piece)} of "
            f"{words.host(history, client)}, which did not restart",
            words.evidence(
                words.taken(history, first),
                [words.granted(history, g.file, g.owner, g.piece) for g in grants],
                notices,
                [words.taken(history, g) for g in grants[1:]],
            ),
            consequence="The client goes on as if it held its locks." + words.because(doubts),
            remedy="Find the sender of the SM_NOTIFY; restart the application that lost its lock.",
            confidence=words.confidence(doubts, also=sure),
            server=server,
            client=client,
            locks=tuple(words.lock(history, g.file, g.owner, g.piece) for g in grants),
        )
