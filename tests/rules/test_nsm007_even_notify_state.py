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
