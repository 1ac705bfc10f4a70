"""Results are made again when the code that they depend on has changed: all of it is in the digest."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import nlmdissect
from nlmdissect.audit.work import ENGINE

ROOT = Path(nlmdissect.__file__).parent
NOT_IN_RESULTS = {"__init__.py", "audit/__init__.py", "audit/inputs.py", "audit/parquet.py"}
"""What is loaded too: the public names, how words become files, and rows bytes."""
JUDGE = """
import sys
from nlmdissect.audit import work
from nlmdissect.capture.glance import glance
(result,) = work.judge([([glance(sys.argv[1])], False)])
assert result.tables
print("\\n".join(m.__file__ for name, m in sys.modules.items() if name.split(".")[0] == "nlmdissect"))
"""


def test_every_file_that_a_worker_loads_is_in_the_digest() -> None:
    capture = Path(__file__).parents[2] / "captures/S04-notify-never-sent.pcap"
    said = subprocess.run([sys.executable, "-c", JUDGE, str(capture)], capture_output=True, text=True, check=True).stdout
    loaded = {Path(line).relative_to(ROOT).as_posix() for line in said.splitlines()} - NOT_IN_RESULTS
    assert len(loaded) > 100
    assert {name for name in loaded if name not in ENGINE and name.split("/")[0] not in ENGINE} == set()
