"""DNS messages with other names and addresses in them: a door to dnspython."""

from __future__ import annotations

from nlmdissect.evidence.anonymise.pseudonyms import Pseudonyms


def rewrite(names: Pseudonyms, data: bytes) -> bytes | None:
    """A message about the names and addresses of hosts, written anew; None for any other, or a broken one."""
    import dns.exception
    import dns.message
    import dns.name
    import dns.rdatatype
    import dns.rrset

    def renamed(name: dns.name.Name) -> dns.name.Name:
        labels = list(name.labels)
        absolute = labels[-1:] == [b""]
        return dns.name.Name([*names.domain(labels[:-1] if absolute else labels), *([b""] if absolute else [])])

    try:
        old = dns.message.from_wire(data, ignore_trailing=True)
        new = dns.message.Message(old.id)
        new.flags = old.flags
        for section, target in zip(old.sections, new.sections, strict=True):
            for rrset in section:
                made = dns.rrset.RRset(renamed(rrset.name), rrset.rdclass, rrset.rdtype, rrset.covers)
                if not len(rrset):  # a question
                    target.append(made)
                    continue
                for rdata in rrset:
                    if rrset.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
                        made.add(rdata.replace(address=_text(names, rdata.address)), rrset.ttl)
                    elif rrset.rdtype in (dns.rdatatype.PTR, dns.rdatatype.CNAME):
                        made.add(rdata.replace(target=renamed(rdata.target)), rrset.ttl)
                if len(made):
                    target.append(made)
        return new.to_wire(max_size=65535)
    except (dns.exception.DNSException, ValueError):
        return None


def _text(names: Pseudonyms, address: str) -> str:
    return (names.text_address(address.encode()) or b"0.0.0.0").decode()
