"""Audits for tests, made without workers."""

from __future__ import annotations

from pathlib import Path

from nlmdissect.audit.api import Audit
from nlmdissect.audit.dataset import open_run
from nlmdissect.audit.inputs import files
from nlmdissect.audit.rotation import grouped
from nlmdissect.audit.run import name_of
from nlmdissect.audit.work import judge, look


def audited(folder: Path, dataset: Path, run: str = "one") -> Audit:
    """What ``run_audit`` gives of a folder."""
    to, _ = open_run(dataset, run, {"version": "1.2.3", "paths": [str(folder)], "group": []})
    for group in grouped(look(files([folder]))):
        (result,) = judge([(group.files, group.given)])
        to.commit(name_of(group), "key", result.tables)
    to.finish()
    return Audit(to)
