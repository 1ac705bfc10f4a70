"""Messages are taken one by one, or by column where many follow each other: it comes to the same."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.captures import SHARED
from support.packets import UDP, ethernet, ipv4, pcap, rpc_call, rpc_reply, udp

from nlmdissect.capture import asked, collect
from nlmdissect.capture.files import open_recording
from nlmdissect.capture.reader import MessageReader
from nlmdissect.rpc.names import KEEP

OURS = Path(__file__).parents[2] / "captures"
RECORDINGS = [path for folder in (SHARED, OURS) for path in sorted(folder.glob("*.pcap*"))]
NLM = 100021


def taken(path: Path, many: int, patch: pytest.MonkeyPatch) -> list[object]:
    """All that a reader gives, when so many messages in a row are many."""
    patch.setattr(collect, "MANY", many)
    reader, found = MessageReader(open_recording([path]), KEEP), list[object]()
    for batch in reader:
        m = batch.messages
        columns = [getattr(m, name).tolist() for name in m.__slots__ if name not in ("arena", "at", "end")]
        found += zip(map(m.body, range(len(m))), *columns, strict=True)
    traffic = reader.traffic
    return [*found, traffic.streams, traffic.programs, traffic.defects, reader._collector.asked.forgotten]


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name)
def test_on_recordings(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert taken(path, 1, monkeypatch) == taken(path, 1 << 40, monkeypatch)


FRAMES = st.lists(
    st.tuples(
        st.booleans(), st.integers(1, 4), st.sampled_from((700, 5353)), st.integers(0, 2),
        st.sampled_from((0.0, 0.001, 0.049, 0.051, 0.2, -0.01)),
    ),
    min_size=1, max_size=24,
)  # fmt: skip


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(frames=FRAMES, many=st.integers(2, 9))
@example(  # the last answer is a copy of the first, which was taken by column
    frames=[(False, 1, 700, 0, 0.0), (False, 1, 700, 1, 0.0), (False, 1, 5353, 0, 0.0), (True, 1, 700, 0, 0.0),
            (False, 1, 700, 0, 0.0)],
    many=2,
)  # fmt: skip
def test_on_random_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frames: list[tuple[bool, int, int, int, float]], many: int
) -> None:
    """Copies within and beyond 50 ms, answers before their calls and to nobody, and ports that were not called."""
    monkeypatch.setattr(asked, "GENERATION", 3)
    time, made = 0.0, []
    for call, xid, port, ident, step in frames:
        time = max(time + step, 0.0)
        packet = udp(port, 4045, rpc_call(xid, NLM, 4, 0)) if call else udp(4045, port, rpc_reply(xid))
        ends = ("10.0.0.1", "10.0.0.2") if call else ("10.0.0.2", "10.0.0.1")
        made.append((time, ethernet(ipv4(*ends, UDP, packet, ident=ident))))
    path = tmp_path / "random.pcap"
    path.write_bytes(pcap(made))
    assert taken(path, many, monkeypatch) == taken(path, 1 << 40, monkeypatch)
