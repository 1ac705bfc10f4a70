"""Functions that only a key tells: what the other names of one capture are made with.

The same key gives the same results, in another capture too. Every function here is one to one, so that two things never
become one.
"""

from __future__ import annotations

from hashlib import blake2b

ROUNDS = 6
LETTERS = b"abcdefghijklmnopqrstuvwxyz"
SIGNS = LETTERS + b"0123456789"
REMEMBERED = 1 << 20  # results; then they are made anew, which gives the same but where chance had made two words one


class Keyed:
    """``key`` is any number of bytes up to 64. ``domain`` keeps the uses apart: at most 16 bytes."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._permuted: dict[tuple[bytes, bytes], bytes] = {}
        self._words: dict[tuple[bytes, bytes], bytes] = {}
        self._taken: set[tuple[bytes, bytes]] = set()

    def digest(self, domain: bytes, data: bytes, size: int) -> bytes:
        """``size`` bytes that follow from the key and ``data``."""
        if size <= 64:
            return blake2b(data, digest_size=size, key=self._key, person=domain).digest()
        parts = range(0, size, 64)
        return b"".join(self.digest(domain, b"%d:" % part + data, 64) for part in parts)[:size]

    def permute(self, domain: bytes, data: bytes) -> bytes:
        """As many other bytes. Bytes of one length never become the same."""
        known = self._permuted.get((domain, data))
        if known is None:
            if len(self._permuted) >= REMEMBERED:
                self._permuted.clear()
            known = self._permuted[domain, data] = self._permute(domain, data)
        return known

    def _permute(self, domain: bytes, data: bytes) -> bytes:
        """A Feistel network over two halves."""
        if not data:
            return data
        if len(data) == 1:
            order = sorted(range(256), key=lambda number: self.digest(domain, bytes((number,)), 8))
            return bytes((order[data[0]],))
        middle = len(data) // 2
        halves = [data[:middle], data[middle:]]
        for number in range(ROUNDS):
            here, there = number & 1, 1 - (number & 1)
            mask = self.digest(domain, bytes((number, len(data) & 0xFF)) + halves[there], len(halves[here]))
            mixed = int.from_bytes(halves[here], "big") ^ int.from_bytes(mask, "big")
            halves[here] = mixed.to_bytes(len(halves[here]), "big")
        return b"".join(halves)

    def word(self, domain: bytes, word: bytes) -> bytes:
        """Another word of the same length, of small letters and digits, of digits alone if that was so.

        Where chance gives a word to two, as it does to those of a few letters, the one that comes later gets another.
        """
        known = self._words.get((domain, word))
        if known is not None or not word:
            return known or word
        for attempt in range(10_000):
            mark = b"%d:" % attempt if attempt else b":"
            spread = self.digest(domain, mark + word, 2 * len(word))
            numbers = [int.from_bytes(spread[at : at + 2], "big") for at in range(0, len(spread), 2)]
            sets = [b"123456789", b"0123456789"] if word.isdigit() else [LETTERS, SIGNS]
            made = bytes(sets[place > 0][number % len(sets[place > 0])] for place, number in enumerate(numbers))
            if made != word and (domain, made) not in self._taken:
                break
        if len(self._words) >= REMEMBERED:
            self._words.clear()
            self._taken.clear()
        self._taken.add((domain, made))
        self._words[domain, word] = made
        return made
