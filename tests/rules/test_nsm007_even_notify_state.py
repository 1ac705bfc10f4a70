"""NSM007: an even ("down") NSM state was announced."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NSM007 = BY_CODE["NSM007"]
LOCK = "1 client1 > server NLM_LOCK\n2 server > client1 NLM4_GRANTED"


def test_an_even_state():
    story = told(NSM007, LOCK, "3 server > client1 SM_NOTIFY state=4\n4 +2s server > client1 SM_NOTIFY state=4")
    assert story.says == ["warning confirmed server=server: 3 4"]


def test_a_client_says_it():
    assert told(NSM007, LOCK, "3 client1 > server SM_NOTIFY state=4").says == ["warning confirmed client=client1: 3"]


def test_an_odd_state():
    story = told(NSM007, LOCK, "3 server > client1 SM_NOTIFY state=5")
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_zero_means_unknown():
    assert told(NSM007, LOCK, "3 server > client1 SM_NOTIFY state=0").outcome is Outcome.CLEAN
    assert told(NSM007, "1 client1 > server NLM_LOCK state=0").outcome is Outcome.CLEAN


def test_the_state_in_locks():
    """The client's own state: it was told by a statd that says that it goes down."""
    locks = (
        "1 client1 > server NLM_LOCK state=4\n2 server > client1 NLM4_GRANTED\n3 client1 > server NLM_LOCK fh=B state=4"
    )
    assert told(NSM007, locks).says == ["warning confirmed client=client1: 1 3"]


def test_cut_off_by_the_snaplen():
    story = told(NSM007, LOCK, "3 server > client1 SM_NOTIFY state=4", snaplen=92)
    assert story.says == []


def test_one_that_only_receives_says_nothing():
    story = told(NSM007, LOCK, "3 server > client1 SM_NOTIFY state=5\n4 client1 > server OK")
    assert story.says == []
