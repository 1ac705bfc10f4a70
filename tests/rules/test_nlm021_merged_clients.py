"""NLM021: several clients behind one address share one lock owner."""

from __future__ import annotations

from support.told import told

from nlmdissect.findings import Outcome
from nlmdissect.rules import BY_CODE

NLM021 = BY_CODE["NLM021"]


def asks(*told_of):
    """Each (name, cookie, what it asks for), all from client1; every answer is GRANTED."""
    lines = []
    for number, (name, cookie, what) in enumerate(told_of):
        owner = f"caller={name} oh=0@{name} svid=0 cookie={cookie.to_bytes(4, 'little').hex()}"
        lines += [
            f"{2 * number + 1} client1 > server {what} {owner}",
            f"{2 * number + 2} server > client1 NLM4_GRANTED",
        ]
    return "\n".join(lines)


def test_both_hold_one_range():
    story = told(
        NLM021,
        asks(
            ("web", 5, "NLM_LOCK fh=A range=0-99"),
            ("db", 5, "NLM_LOCK fh=A range=50-59"),
            ("web", 6, "NLM_LOCK fh=C"),
            ("db", 6, "NLM_LOCK fh=D"),
        ),
    )
    assert story.says == ["error confirmed server=server client=client1: 2 4 1 3 5 7"]
    assert [lock.caller_name for lock in story.findings[0].locks] == ["web", "db"]


def test_they_share_an_svid_and_no_file():
    story = told(
        NLM021,
        asks(("web", 5, "NLM_LOCK fh=A"), ("db", 5, "NLM_LOCK fh=B"), ("web", 6, "NLM_TEST"), ("db", 6, "NLM_TEST")),
    )
    assert story.says == ["warning confirmed server=server client=client1: 1 3 5 7"]


def test_one_after_the_other():
    """The UNLOCK of the first comes before the LOCK of the second."""
    story = told(
        NLM021,
        asks(
            ("web", 5, "NLM_LOCK fh=A"),
            ("web", 6, "NLM_UNLOCK fh=A"),
            ("db", 5, "NLM_LOCK fh=A"),
            ("web", 7, "NLM_TEST fh=B"),
            ("db", 6, "NLM_TEST fh=B"),
        ),
    )
    assert story.says == ["warning confirmed server=server client=client1: 1 5 3 9"]


def test_read_locks():
    story = told(
        NLM021,
        asks(
            ("web", 5, "NLM_LOCK fh=A shared"),
            ("db", 5, "NLM_LOCK fh=A shared"),
            ("web", 6, "NLM_TEST fh=B"),
            ("db", 6, "NLM_TEST fh=B"),
        ),
    )
    assert [line.partition(" ")[0] for line in story.says] == ["warning"]


def test_containers_on_one_kernel():
    """Cookies count on from one name to the other."""
    story = told(
        NLM021,
        asks(("web", 5, "NLM_LOCK fh=A"), ("db", 6, "NLM_LOCK fh=A"), ("web", 7, "NLM_TEST"), ("db", 8, "NLM_TEST")),
    )
    assert story.outcome is Outcome.CLEAN
    assert story.result.judged == 1


def test_renamed_once():
    story = told(
        NLM021,
        asks(("web", 5, "NLM_LOCK fh=A"), ("web", 6, "NLM_TEST"), ("db", 5, "NLM_LOCK fh=A"), ("db", 6, "NLM_TEST")),
    )
    assert story.says == []


def test_short_and_full_name():
    story = told(
        NLM021,
        asks(
            ("web", 5, "NLM_LOCK fh=A"),
            ("web.example.com", 5, "NLM_LOCK fh=A"),
            ("web", 6, "NLM_TEST"),
            ("web.example.com", 6, "NLM_TEST"),
        ),
    )
    assert story.says == []


def test_another_svid_each():
    text = asks(("web", 5, "NLM_LOCK fh=A"), ("db", 5, "NLM_LOCK fh=A"), ("web", 6, "NLM_TEST"), ("db", 6, "NLM_TEST"))
    story = told(NLM021, text.replace("oh=0@db svid=0", "oh=1@db svid=1"))
    assert story.says == []
    assert "NLM011" in {f.code for f in story.everything}


def test_the_server_restarted_in_between():
    story = told(
        NLM021,
        asks(("web", 5, "NLM_LOCK fh=A"), ("db", 5, "NLM_TEST fh=A"), ("web", 6, "NLM_TEST"), ("db", 6, "NLM_TEST")),
        """
     9        server  > client2  SM_NOTIFY mon_name=server state=5
    10  +90s  client1 > server   NLM_LOCK fh=A caller=db oh=0@db svid=0 cookie=07000000
    11        server  > client1  NLM4_GRANTED
    """,
    )
    assert [line.partition(" ")[0] for line in story.says] == ["warning"]


def test_an_answer_is_lost():
    story = told(
        NLM021,
        asks(("web", 5, "NLM_LOCK fh=A"), ("db", 5, "NLM_TEST fh=A"), ("web", 6, "NLM_TEST"), ("db", 6, "NLM_TEST")),
        """
     9        client1 > server   NLM_UNLOCK fh=A caller=web oh=0@web svid=0 cookie=07000000
    lost      server  > client1  NLM4_GRANTED
    10        client1 > server   NLM_LOCK fh=A caller=db oh=0@db svid=0 cookie=07000000
    11        server  > client1  NLM4_GRANTED
    """,
    )
    assert [line.partition(" ")[0] for line in story.says] == ["warning"]


def test_the_capture_ends_before_they_take_turns():
    assert told(NLM021, asks(("web", 5, "NLM_LOCK fh=A"), ("db", 5, "NLM_LOCK fh=A"))).says == []
