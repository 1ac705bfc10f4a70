"""The tables of procedures: complete, consistent, and without their neighbours."""

from __future__ import annotations

import pytest

from nlmdissect.protocols import MOUNT, NFS, NLM, NSM, PORTMAP, PROGRAMS, Program, find, program_name
from nlmdissect.protocols.nlm import nlm4_stats, nlm_stats, status_name
from nlmdissect.xdr.schema import Void

every_program = pytest.mark.parametrize("program", PROGRAMS.values(), ids=lambda p: f"{p.name}{p.version}")


def test_which_programs_there_are() -> None:
    assert sorted(PROGRAMS) == [
        (PORTMAP, 2), (PORTMAP, 3), (PORTMAP, 4), (NFS, 2), (NFS, 3), (MOUNT, 1), (MOUNT, 2), (MOUNT, 3),
        (NLM, 0), (NLM, 1), (NLM, 2), (NLM, 3), (NLM, 4), (NSM, 1),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("program", "version", "numbers"),
    [
        (PORTMAP, 2, range(6)),
        (PORTMAP, 3, range(9)),
        (PORTMAP, 4, range(13)),
        (NLM, 0, (0, 1)),
        (NLM, 1, range(17)),
        (NLM, 2, (0, 17, 18)),
        (NLM, 3, (*range(17), 20, 21, 22, 23)),
        (NLM, 4, (*range(17), 20, 21, 22, 23)),
        (NSM, 1, range(7)),
        (MOUNT, 1, (0, 1, 3, 4)),  # of MOUNT and NFS, only what names file handles
        (MOUNT, 2, (0, 1, 3, 4)),
        (MOUNT, 3, (0, 1, 3, 4)),
        (NFS, 2, (1, 4, 9, 10, 11, 12, 13, 14, 15)),
        (NFS, 3, (1, 3, 8, 9, 10, 11, 12, 13, 14, 15, 17)),
    ],
)
def test_which_procedures_there_are(program: int, version: int, numbers: range | tuple[int, ...]) -> None:
    assert [number for number in range(30) if find(program, version, number)] == list(numbers)


@every_program
def test_numbers_and_names_are_given_once(program: Program) -> None:
    assert len({p.number for p in program.procedures}) == len({p.name for p in program.procedures})
    assert len({p.number for p in program.procedures}) == len(program.procedures)
    null = find(program.number, program.version, 0)
    if program.number == NFS:
        return
    assert null is not None
    assert (null.name, null.args, null.res) == ("NULL", Void, Void)


@pytest.mark.parametrize("version", [1, 3, 4])
def test_an_asynchronous_call_and_its_answer_are_the_two_halves_of_the_synchronous_one(version: int) -> None:
    by_name = {p.name: p for p in PROGRAMS[NLM, version].procedures}
    assert {name for name, p in by_name.items() if p.answer} == {name for name in by_name if name.endswith("_MSG")}
    for verb in ("TEST", "LOCK", "CANCEL", "UNLOCK", "GRANTED"):
        call, answer = by_name[f"{verb}_MSG"], by_name[f"{verb}_RES"]
        assert (call.args, answer.args) == (by_name[verb].args, by_name[verb].res)
        assert (call.answer, answer.answer) == (f"{verb}_RES", None)
        assert (call.res, answer.res) == (Void, Void)
        assert (call.number, answer.number) == (by_name[verb].number + 5, by_name[verb].number + 10)


def test_versions_do_not_share_ranges() -> None:
    for number in (1, 2, 3, 4, 5):
        old, new = find(NLM, 3, number), find(NLM, 4, number)
        assert old is not None
        assert new is not None
        assert old.args is not new.args


@pytest.mark.parametrize(("program", "version"), [(100020, 2), (200048, 2), (NFS, 4), (MOUNT, 4), (NSM, 2), (NLM, 5)])
def test_neighbours_are_not_found(program: int, version: int) -> None:
    assert find(program, version, 1) is None


def test_names() -> None:
    assert [program_name(n) for n in (PORTMAP, NLM, NSM, NFS, MOUNT, 100020)] == [
        "PORTMAP", "NLM", "NSM", "NFS", "MOUNT", "100020",
    ]  # fmt: skip
    assert status_name(0) == "GRANTED"
    assert status_name(4) == "DENIED_GRACE_PERIOD"
    assert status_name(9) == "FAILED"
    assert status_name(10) == "unknown status 10"
    for name, number in nlm_stats.members.items():
        assert name == f"LCK_{status_name(number)}"
    for name, number in nlm4_stats.members.items():
        assert name == f"NLM4_{status_name(number)}"
