"""SM_NOTIFY as sent: tries, look-ups, answers."""

from __future__ import annotations

import pytest
from support.story import capture_of
from support.told import history_of


def notices(text):
    return history_of(capture_of(text)[0]).notices


def test_tries_and_their_answers():
    found = notices("""
        1  server  > client1  SM_NOTIFY mon_name=filer state=5 port=700
        2  server  > client1  SM_NOTIFY mon_name=filer state=5
        3  client1 > server   OK
        4  server  > client2  SM_NOTIFY mon_name=filer state=5
        5  client2 > server   SYSTEM_ERR
    """)
    first, second = found.tries[0, 1]
    assert (first.name, first.state, first.port, first.answered, first.refused) == ("filer", 5, 700, None, False)
    assert (second.port, second.answered and second.answered.frame) == (662, 3)
    (refused,) = found.tries[0, 2]
    assert refused.refused


@pytest.mark.parametrize(
    ("answer", "port"), [("client1 > server port 662", 662), ("client1 > server port 0", 0), ("", None)]
)
def test_lookups(answer, port):
    found = notices("1 server > client1 GETPORT statd" + (f"\n2 {answer}" if answer else ""))
    (lookup,) = found.lookups[0, 1]
    assert lookup.port == port


def test_other_lookups_do_not_count():
    assert not notices("1 server > client1 GETPORT lockd\n2 client1 > server port 4045").lookups
