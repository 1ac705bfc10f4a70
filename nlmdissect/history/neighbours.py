"""Hosts that share an address with one that restarted: behind a router that translates addresses, or in containers."""

from __future__ import annotations

from nlmdissect.history.fates import Owner
from nlmdissect.hosts.boot import Boot
from nlmdissect.hosts.called import same_host
from nlmdissect.hosts.names import Names
from nlmdissect.rpc.requests import Op, Requests


def neighbours(boot: Boot, requests: Requests, names: Names) -> set[Owner]:
    """Lock owners at the restarted address whose host is another one than that which announced the restart: they go by
    another name, and it is still in use afterwards. Empty where the address has one name, or nothing was announced.
    """
    callers = names.unannounced.get(boot.host, ())
    name = names.announced.get((boot.host, boot.state_after or 0), "")
    if len(callers) < 2 or not any(same_host(name, caller) for caller in callers):
        return set()
    own = requests.where((requests.said.client == boot.host) & ~requests.is_a(Op.GRANTED))
    by = {Owner(r.client, r.oh, r.svid): names.caller(r.client, r.oh, r.svid) for r in own}
    alive = {by[Owner(r.client, r.oh, r.svid)] for r in own if r.sends[-1].at > boot.not_after}
    return {owner for owner, caller in by.items() if caller in alive and not same_host(caller, name)}
