"""Where the elements of a list begin: the same places as the codec's, and of a list that is cut short those before the cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.xdr_values import TYPES, values

from nlmdissect.protocols.nfs3 import create3args
from nlmdissect.protocols.portmap import pmaplist
from nlmdissect.protocols.rpc import authsys_parms
from nlmdissect.xdr.codec import encode
from nlmdissect.xdr.elements import elements
from nlmdissect.xdr.schema import List, Struct, Union, Xdr


def lists_in(t: Xdr) -> list[List]:
    match t:
        case List():
            return [t, *lists_in(t.element)]
        case Struct(fields=fields):
            return [found for part in fields.values() for found in lists_in(part)]
        case Union(arms=arms, default=default):
            return [found for arm in (*arms.values(), default) for found in lists_in(arm)]
        case _:
            return []


LISTS = list(dict.fromkeys(found for t in TYPES for found in lists_in(t)))
LISTS += [List(t) for t in (create3args, authsys_parms, pmaplist)]  # unions, an array, lists within a list


@pytest.mark.parametrize("t", LISTS, ids=lambda t: t.element.name)
@given(data=st.data())
def test_elements_begin_where_the_codec_has_them(t: List, data: st.DataObject) -> None:
    lists: list[list[Any]] = [data.draw(values(t)) for _ in range(2)]
    raw = b"junk" + encode(t, lists[0]) + encode(t, lists[1])
    second = 4 + len(encode(t, lists[0]))
    wanted = [(0, place) for place in begins(t, lists[0], 4)] + [(1, place) for place in begins(t, lists[1], second)]
    ends = np.array([second, len(raw)])
    of, starts = elements(t, np.frombuffer(raw, np.uint8), np.array([4, second]), ends)
    assert list(zip(of.tolist(), starts.tolist(), strict=True)) == wanted
    cut = data.draw(st.integers(second, len(raw)))
    of, starts = elements(t, np.frombuffer(raw, np.uint8), np.array([4, second]), np.array([second, cut]))
    assert list(zip(of.tolist(), starts.tolist(), strict=True)) == [w for w in wanted if w[1] <= cut]


def begins(t: List, items: list[Any], at: int) -> list[int]:
    places = []
    for item in items:
        places.append(at + 4)
        at += 4 + len(encode(t.element, item))
    return places


def test_no_lists() -> None:
    none = np.zeros(0, np.int64)
    assert elements(LISTS[0], np.zeros(0, np.uint8), none, none)[0].tolist() == []


def test_a_list_without_an_end_costs_no_more_than_its_bytes() -> None:
    raw = np.frombuffer(b"\0\0\0\1" * 30000, np.uint8)
    of, starts = elements(List(Struct("empty")), raw, np.array([0]), np.array([len(raw)]))
    assert len(of) == 30000
    assert starts[-1] == len(raw)
