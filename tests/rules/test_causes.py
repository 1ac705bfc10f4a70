"""Which finding follows from which."""

from __future__ import annotations

from nlmdissect.findings import At, Evidence, Finding, Severity
from nlmdissect.rules.causes import CAUSES, link


def finding(code, severity=Severity.ERROR, **about):
    return Finding(code, (Evidence(At(1, 0, 1), "a frame"),), "", "", severity=severity, code=code, **about)


def causes(*findings):
    return [f.caused_by for f in link(list(findings))]


def test_a_theft_follows_from_what_kept_the_lock_from_being_reclaimed():
    theft = finding("NLM004", server=1, client=2, other=3, boot=0)
    for root in ("NLM003", "NLM001", "NSM001", "NSM003", "NSM005", "HOST002", "NLM002"):
        assert causes(theft, finding(root, server=1, client=2, boot=0)) == [1, None]


def test_another_client_server_or_restart_is_another_story():
    theft = finding("NLM004", server=1, client=2, boot=0)
    for about in ({"server": 9}, {"client": 9}, {"boot": 9}):
        other = finding("NSM001", **({"server": 1, "client": 2, "boot": 0} | about))
        assert causes(theft, other) == [None, None]


def test_what_is_not_named_fits():
    assert causes(finding("NLM004", server=1, client=2, boot=0), finding("NLM001", server=1, client=2)) == [1, None]


def test_an_info_causes_nothing():
    theft = finding("NLM004", server=1, client=2, boot=0)
    assert causes(theft, finding("NSM003", Severity.INFO, server=1, client=2, boot=0)) == [None, None]


def test_a_late_reclaim_follows_from_a_notice_answered_too_late():
    late = finding("NLM003", server=1, client=2, boot=0)
    assert causes(late, finding("NSM003", Severity.WARNING, server=1, client=2, boot=0)) == [1, None]


def test_the_nearest_cause_comes_first():
    theft = finding("NLM004", server=1, client=2, boot=0)
    late = finding("NLM003", server=1, client=2, boot=0)
    notice = finding("NSM003", Severity.WARNING, server=1, client=2, boot=0)
    assert causes(theft, notice, late) == [2, None, 1]


def test_there_are_no_circles():
    roots: dict[str, set[str]] = {}
    for consequence, of, _ in CAUSES:
        roots.setdefault(consequence, set()).update(of)
    for start in roots:
        reached, todo = set(), [start]
        while todo:
            for root in roots.get(todo.pop(), ()):
                assert root != start
                if root not in reached:
                    reached.add(root)
                    todo.append(root)


def test_a_theft_follows_from_the_release_of_a_living_clients_lock():
    theft = finding("NLM004", server=1, client=2, other=3)
    assert causes(theft, finding("NLM006", server=1, client=2)) == [1, None]
    assert causes(theft, finding("NLM006", server=1, client=3)) == [None, None]
