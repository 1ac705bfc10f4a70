"""Which files are one recording: names as the capture tools write them, times, hosts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from nlmdissect.audit.rotation import apart, follows, grouped, pattern, silence, split
from nlmdissect.capture.glance import Glance
from nlmdissect.capture.messages import Span

SECOND = 10**9
A, B = b"\x0a\0\0\1", b"\x0a\0\0\2"


def seen(path: str, first: float, last: float | None, hosts: frozenset[bytes] = frozenset({A})) -> Glance:
    end = None if last is None else int(last * SECOND)
    return Glance(path, 100, format="pcap", links=("ethernet",), snaplen=65535, first=int(first * SECOND), last=end, hosts=hosts)


def names(*files: Glance, given: tuple[str, ...] = ()) -> list[list[str]]:
    return sorted([file.path for file in group.files] for group in grouped(files, given))


@pytest.mark.parametrize(
    ("path", "family", "number"),
    [
        ("/d/nfs.pcap", "/d/nfs.pcap#", 0),  # tcpdump -C 100 -w nfs.pcap
        ("/d/nfs.pcap12", "/d/nfs.pcap#", 12),
        ("/d/nfs.pcap007.gz", "/d/nfs.pcap#", 7),  # tcpdump -C 100 -W 500 -z gzip
        ("/d/nfs-2026-01-31_13.05.00.pcap", "/d/nfs-#.pcap", None),  # tcpdump -G 3600 -w nfs-%F_%H.%M.%S.pcap
        ("/d/20260131T1305-nfs.pcap.zst", "/d/#-nfs.pcap", None),
        ("/d/nfs-1769864700.pcap", "/d/nfs-#.pcap", None),  # tcpdump -G 3600 -w nfs-%s.pcap
        ("/d/nfs_00017_20260131130500.pcapng", "/d/nfs_#_#.pcapng", 17),  # dumpcap -b
        ("/d/nfs_00017_20260131130500.pcap", "/d/nfs_#_#.pcap", 17),  # editcap -c
        ("/d/nfs-3.pcap", "/d/nfs-#.pcap", 3),
        ("s3://b/d/nfs.pcap3", "s3://b/d/nfs.pcap#", 3),
        ("/d/filer1.pcapng", "/d/filer1.pcapng#", 0),
        ("/d/trace.ntar", "/d/trace.ntar", None),
    ],
)
def test_what_the_files_of_a_family_have_in_common(path: str, family: str, number: int | None) -> None:
    assert pattern(path) == (family, number)


def test_two_filers_are_no_family() -> None:
    assert pattern("/d/filer1.pcap")[0] != pattern("/d/filer2.pcap")[0]


def test_rotated_files_are_one_recording_in_the_order_of_time() -> None:
    ring = [seen("/d/nfs.pcap1", 0, 9), seen("/d/nfs.pcap2", 10, 19), seen("/d/nfs.pcap", 20, 29)]
    assert names(*ring) == [["/d/nfs.pcap1", "/d/nfs.pcap2", "/d/nfs.pcap"]]


def test_the_end_of_a_packed_file_is_not_known() -> None:
    ring = [seen("/d/nfs.pcap1.gz", 0, None), seen("/d/nfs.pcap2.gz", 10, None)]
    assert names(*ring) == [["/d/nfs.pcap1.gz", "/d/nfs.pcap2.gz"]]


@pytest.mark.parametrize(
    "other",
    [
        seen("/d/nfs.pcap2", 5, 19),  # at the same time: another capture
        seen("/e/nfs.pcap2", 10, 19),  # another folder
        seen("/d/web.pcap2", 10, 19),  # another name
        seen("/d/nfs.pcap2", 10, 19, frozenset({B})),  # other hosts
        replace(seen("/d/nfs.pcap2", 10, 19), snaplen=96),
        replace(seen("/d/nfs.pcap2", 10, 19), links=("raw",)),
        replace(seen("/d/nfs.pcap2", 10, 19), format="pcapng"),
    ],
)
def test_what_is_another_recording(other: Glance) -> None:
    one = seen("/d/nfs.pcap1", 0, 9)
    assert names(one, other) == sorted([[one.path], [other.path]])


def test_a_broken_file_is_alone() -> None:
    ring = [seen("/d/nfs.pcap1", 0, 9), replace(seen("/d/nfs.pcap2", 10, 19), error="is empty"), seen("/d/nfs.pcap3", 20, 29)]
    assert names(*ring) == [["/d/nfs.pcap1", "/d/nfs.pcap3"], ["/d/nfs.pcap2"]]


def test_by_hand() -> None:
    files = [seen("/d/a.pcap", 0, 9), seen("/d/b.pcap", 5, 19), seen("/d/nfs.pcap1", 0, 9), seen("/d/nfs.pcap2", 10, 19)]
    assert names(*files, given=("d/[ab].pcap",)) == [["/d/a.pcap", "/d/b.pcap"], ["/d/nfs.pcap1", "/d/nfs.pcap2"]]
    assert names(*files, given=("/d/[ab].pcap", "none")) == [["/d/a.pcap", "/d/b.pcap"], ["/d/nfs.pcap1"], ["/d/nfs.pcap2"]]


def test_successive_numbers_leave_nothing_out() -> None:
    assert follows("/d/nfs.pcap9", "/d/nfs.pcap10")
    assert follows("/d/nfs.pcap", "/d/nfs.pcap1")
    assert not follows("/d/nfs.pcap1", "/d/nfs.pcap3")
    assert not follows("/d/nfs-20260131.pcap", "/d/nfs-20260201.pcap")


def test_hours_without_a_capture_are_no_silence() -> None:
    """To take them for one would make a lock look lost in the hours between."""
    dated = [("/d/nfs-20260131.pcap", 0, 100 * SECOND), ("/d/nfs-20260201.pcap", 86400 * SECOND, 86500 * SECOND)]
    assert apart(dated, silence=30 * SECOND) == [1]
    assert apart(dated, silence=30_000 * SECOND) == []  # nobody spoke for hours within the files either
    numbered = [("/d/nfs.pcap1", *dated[0][1:]), ("/d/nfs.pcap2", *dated[1][1:])]
    assert apart(numbered, silence=0) == []
    assert apart([("/d/nfs.pcap1", 0, 100 * SECOND), ("/d/nfs.pcap2", 50 * SECOND, 150 * SECOND)], 0) == [1]


def test_where_it_is_cut_other_recordings_begin() -> None:
    (group,) = grouped([seen(f"/d/nfs-2026013{day}.pcap", day * 86400, None) for day in range(3)])
    assert [[file.path[-6:-5] for file in part.files] for part in split(group, [1])] == [["0"], ["1", "2"]]
    assert len({part.name for part in split(group, [1])}) == 2


def test_silence_is_the_longest_within_a_file() -> None:
    files = [("a", 0, 100), ("b", 1000, 1100)]
    spans = [Span(0, 1, 0, 30, 2), Span(1, 0, 10, 40, 2), Span(0, 1, 90, 100, 2), Span(0, 1, 1000, 1100, 9)]
    assert silence(spans, files) == 50
