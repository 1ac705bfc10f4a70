"""Hosts by their names, as NSM compares names: without case, and a name without domain is that of any with one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

MANY = 100
"""Hosts with one name: more of them than that are strangers to each other ("localhost"), whatever a notice says."""


class Called:
    """Finds the hosts with a name (``same_host``) without a look at all the others."""

    def __init__(self, names: Mapping[int, Iterable[str]]) -> None:
        self._exactly: dict[str, dict[int, None]] = defaultdict(dict)
        self._label: dict[str, dict[int, None]] = defaultdict(dict)
        self._found: dict[str, dict[int, None]] = {}
        for host, of in names.items():
            for name in of:
                self._exactly[name.casefold()][host] = None
                self._label[first_label(name)][host] = None

    def __getitem__(self, name: str) -> dict[int, None]:
        """The hosts, as keys. Not those of a name, or of the part of it that counts, that too many have."""
        folded = name.casefold()
        if folded not in self._found:
            label = first_label(name)
            found = set(few(self._exactly.get(folded, {})))
            if few(self._label.get(label, {})):
                found.update(self._exactly.get(label, {}) if "." in folded else self._label[label])
            self._found[folded] = dict.fromkeys(sorted(found))
        return self._found[folded]

    def others_alone(self, host: int, name: str) -> bool:
        """Whether hosts have the name, however many they are, and this one is none of them."""
        folded, label = name.casefold(), first_label(name)
        near = self._exactly if "." in folded else self._label
        having = [of for of in (self._exactly.get(folded), near.get(label)) if of]
        return bool(having) and not any(host in of for of in having)

    @property
    def crowded(self) -> int:
        """How many hosts have a name that too many have."""
        return len({host for of in self._exactly.values() if len(of) > MANY for host in of})


def few(hosts: Collection[int]) -> Collection[int]:
    """These, if they are not too many to be one host."""
    return hosts if len(hosts) <= MANY else ()


class OneHost:
    """The names of one host: finds whether one of them is the same (``same_host``) without a look at all."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.count = 0
        self._exactly: set[str] = set()
        self._labels: set[str] = set()
        for name in names:
            self.add(name)

    def add(self, name: str) -> None:
        """A name more."""
        self.count += 1
        self._exactly.add(name.casefold())
        self._labels.add(first_label(name))

    def __contains__(self, name: str) -> bool:
        folded, label = name.casefold(), first_label(name)
        return folded in self._exactly or (label in self._exactly if "." in folded else label in self._labels)


def same_host(a: str, b: str) -> bool:
    """NSM's notion of one name: case does not count, and statd also announces the name cut at its first dot."""
    a, b = a.casefold(), b.casefold()
    return a == b or (first_label(a) == first_label(b) and ("." not in a or "." not in b))


def first_label(name: str) -> str:
    """What names of one host have in common (``same_host``)."""
    return name.casefold().partition(".")[0]
