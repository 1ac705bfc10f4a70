"""What DNS said of the hosts: the word of a resolver, never a claim of a host itself.

Used for one question, who may notify for whom. statd takes a notice for that of a host it monitors when the announced
name leads to that host's address (PROTOCOL 5.4), so what the receiver's own resolver answered is what counts. A name
in the receiver's /etc/hosts is never asked for; without an answer nothing can be said. A name that leads to several
addresses may be a service of many hosts: it makes them no one host.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import TYPE_CHECKING, NamedTuple

from nlmdissect.capture.block import Defect
from nlmdissect.capture.dns import Answer
from nlmdissect.capture.endpoints import NETWORK, Endpoints
from nlmdissect.findings import At
from nlmdissect.hosts.called import first_label

if TYPE_CHECKING:
    from dns.name import Name

SOON = 10 * 10**9  # ns; a receiver asks for the name in a notice when it has it
MAX_READ = 1 << 12  # answers


class Said(NamedTuple):
    """A resolver told ``asker`` that ``names`` (the name asked for, and those it is an alias of) have ``addresses``.

    An empty ``addresses`` says that there is no such name, or none of this ``family`` (4 or 6, 0 for both).
    """

    at: At
    asker: int
    names: tuple[str, ...]
    addresses: frozenset[bytes]
    family: int


@dataclass(slots=True)
class Resolved:
    """``said`` in time order; ``pointers`` are the names that DNS gives to an address, by its bytes."""

    said: list[Said] = field(default_factory=list)
    pointers: dict[bytes, list[str]] = field(default_factory=dict)
    defects: list[Defect] = field(default_factory=list)
    # made when somebody asks: all answers are there by then
    _about: dict[str, list[Said]] = field(default_factory=dict)  # by names, and by their first labels
    _having: dict[bytes, list[Said]] = field(default_factory=dict)  # by addresses

    def having(self, address: bytes) -> list[Said]:
        """The answers that give somebody this address."""
        self._sort()
        return self._having.get(address, [])

    def names(self, address: bytes) -> list[str]:
        """Names that DNS connects with an address: what it points to first."""
        forward = (name for s in self.having(address) for name in s.names[-1:])
        return list(dict.fromkeys([*self.pointers.get(address, ()), *forward]))

    def leads_to(self, name: str, address: bytes, asker: int | None = None, at: At | None = None) -> Said | None:
        """The answer by which ``name`` has, or has not, this address; None if nobody asked.

        Of ``asker`` alone, if given, and not later than it asks for the name of a notice that came ``at``.
        """
        family = 4 if len(address) == 4 else 6
        latest: dict[str, Said] = {}
        self._sort()
        for s in self._about.get(_folded(name), ()):
            told = (asker is None or s.asker == asker) and (at is None or s.at.time <= at.time + SOON)
            if told and s.family in (0, family) and any(same_name(name, other) for other in s.names):
                latest[s.names[0]] = s
        yes = [s for s in latest.values() if address in s.addresses]
        return next(iter(yes or latest.values()), None)

    def _sort(self) -> None:
        for s in () if self._about else self.said:
            for word in dict.fromkeys(word for name in s.names for word in (name.casefold(), first_label(name))):
                self._about.setdefault(word, []).append(s)
            for address in s.addresses:
                self._having.setdefault(address, []).append(s)


def same_name(asked: str, name: str) -> bool:
    """A resolver completes a short name with the domains of its search list."""
    asked, name = _folded(asked), name.casefold()
    return asked == name or ("." not in asked and asked == name.partition(".")[0])


def _folded(asked: str) -> str:
    return asked.casefold().rstrip(".")


def resolved(answers: Iterable[Answer], endpoints: Endpoints, hosts: Iterable[int], names: Iterable[str]) -> Resolved:
    """Read the answers that are about one of ``hosts`` or of ``names``; no others are taken apart.

    Malformed answers, and more than MAX_READ, are defects.
    """
    found = Resolved()
    addresses = {endpoints.addresses[host] for host in hosts if endpoints.scopes[host] == NETWORK}
    words = {_wire(ip_address(address).reverse_pointer) for address in addresses}
    labels = {name.partition(".")[0] for name in names}
    words |= {_wire(label) for label in labels if label and not label.isdigit()}  # an address is no name
    matter = [
        answer for answer in answers
        if any(address in answer.data for address in addresses) or any(word in answer.data.lower() for word in words)
    ]  # fmt: skip
    for answer in matter[:MAX_READ]:
        _read(answer, found)
    if len(matter) > MAX_READ:
        at = matter[MAX_READ].at
        found.defects.append(Defect(at.capture, at.frame, "dns", "too_many_answers", len(matter) - MAX_READ))
    return found


def _read(answer: Answer, found: Resolved) -> None:
    import dns.exception
    import dns.message
    import dns.rcode
    import dns.rdatatype
    import dns.reversename

    try:
        message = dns.message.from_wire(answer.data, ignore_trailing=True)
        asked = message.question[0]
        if message.rcode() == dns.rcode.NXDOMAIN:
            found.said.append(Said(answer.at, answer.asker, (_text(asked.name),), frozenset(), 0))
            return
        assert isinstance(message, dns.message.QueryMessage)  # as its opcode says
        chain = message.resolve_chaining()
        aliases = [asked.name, *(c.name for c in chain.cnames), chain.canonical_name]
        names = tuple(dict.fromkeys(map(_text, aliases)))
        if asked.rdtype == dns.rdatatype.PTR:
            address = ip_address(dns.reversename.to_address(asked.name)).packed
            pointers = found.pointers.setdefault(address, [])
            pointers += [name for r in chain.answer or () if (name := _text(r.target)) not in pointers]
            return
    except dns.exception.DNSException:
        found.defects.append(Defect(answer.at.capture, answer.at.frame, "dns", "malformed"))
        return
    addresses = frozenset(ip_address(r.address).packed for r in chain.answer or ())
    found.said.append(Said(answer.at, answer.asker, names, addresses, 4 if asked.rdtype == dns.rdatatype.A else 6))


def _text(name: Name) -> str:
    return name.to_text(omit_final_dot=True)


def _wire(name: str) -> bytes:
    """The labels of a name as they are in a message, without the end, so that a longer name has them too."""
    labels = (label.encode("utf-8", "surrogateescape")[:63] for label in name.casefold().split("."))
    return b"".join(bytes((len(label),)) + label for label in labels)
