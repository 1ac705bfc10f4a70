"""NSM007 even-notify-state."""

from __future__ import annotations

from collections.abc import Iterator

from nlmdissect.findings import Evidence, Finding, Judged, Severity, Verdict, rule
from nlmdissect.history.history import History
from nlmdissect.rpc.requests import Op
from nlmdissect.rules import words


@rule("NSM007", "even-notify-state", Severity.WARNING, source="C-06b")
def even_notify_state(history: History) -> Iterator[Verdict]:
    """An even ("down") NSM state was announced.

    Why it matters: by the specification an odd state says "up" and an even one "going down". A receiver that looks at
    this frees or keeps locks at the wrong time; Linux does not look.

    How it is seen: SM_NOTIFY with an even state, or NLM_LOCK with one, which is the client's own. 0 in a LOCK means
    "unknown" and does not count.

    What it cannot see: whether a host that goes down on purpose meant it: then the notice is in order.

    What to do: look at the tool that sent it: a notifier without a running statd (macOS), a cluster script with a
    number of its own, or a damaged state file (/var/lib/nfs/state on Linux: remove it, and the next boot makes a new
    one).
    """
    even: dict[int, list[tuple[int, Evidence]]] = {}
    for (sender, _), tries in history.notices.tries.items():
        yield Judged(len(tries))
        for t in tries:
            if t.state > 0 and t.state % 2 == 0:
                said = Evidence(t.at, f"SM_NOTIFY mon_name={t.name} state={t.state}")
                even.setdefault(sender, []).append((t.state, said))
    requests, state = history.requests, history.requests.said.state
    for r in requests.where(requests.is_a(Op.LOCK) & (state > 0) & (state % 2 == 0)):
        even.setdefault(r.client, []).append((r.state, Evidence(r.at, f"NLM_LOCK state={r.state}")))
    for sender, of in even.items():
        of.sort(key=lambda item: item[1].at)
        yield Finding(
            f"{words.host(history, sender)} announced the even NSM state {of[0][0]}: it is going down",
            words.evidence(said for _, said in of),
            consequence="A receiver that takes the state seriously does not expect this host to be up.",
            remedy="Look at the tool that sent it, and at the state file of the sender's statd.",
            server=sender if "server" in history.names.roles.get(sender, ()) else None,
            client=sender if "server" not in history.names.roles.get(sender, ()) else None,
        )
