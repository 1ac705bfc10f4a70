"""The audit for CI: a suite for each recording, a case for each rule, in the JUnit format that Jenkins and GitLab read.

A case fails for the findings that decide the exit status, and only for them. What a rule could not judge is skipped; a
rule that crashed, and a recording that could not be read, is an error.
"""

from __future__ import annotations

from collections import defaultdict
from xml.etree import ElementTree as ET

from nlmdissect.audit.summary import Recording, Summary
from nlmdissect.escape import show
from nlmdissect.findings import Outcome, Severity
from nlmdissect.rules import BY_CODE


def render(summary: Summary, fail_on: Severity | None, strict: bool = False) -> str:
    """The document. ``fail_on`` and ``strict`` as in ``Summary.status``."""
    bad: dict[str, set[str]] = defaultdict(set)
    for finding in summary.bad(fail_on, strict):
        bad[finding["recording"]].add(finding["code"])
    root = ET.Element("testsuites", name="nlmdissect audit")
    totals = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for one in summary.recordings:
        suite = _suite(summary, one, bad[one.id])
        root.append(suite)
        for name in totals:
            totals[name] += int(suite.attrib[name])
    root.attrib |= {name: str(number) for name, number in totals.items()} | {"time": "0"}
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _suite(summary: Summary, one: Recording, bad: set[str]) -> ET.Element:
    name = show(summary.called(one))
    suite = ET.Element("testsuite", name=name, id=one.id, time="0")
    if one.first is not None:
        suite.set("timestamp", f"{one.first:%Y-%m-%dT%H:%M:%S}")
    if one.error:
        _case(suite, name, "readable", ("error", show(one.error.strip().splitlines()[-1]), one.hint or ""))
    for code in summary.codes:
        if code in one.cells:
            _case(suite, name, f"{code} {BY_CODE[code].name}", *_said(one, code, code in bad))
    counts = {
        "tests": "testcase",
        "failures": "testcase/failure",
        "errors": "testcase/error",
        "skipped": "testcase/skipped",
    }
    suite.attrib |= {key: str(len(suite.findall(path))) for key, path in counts.items()}
    return suite


def _said(one: Recording, code: str, bad: bool) -> list[tuple[str, str, str]]:
    """(element, message, text) of a case."""
    rule, findings = one.rules[code], one.of(code)
    text = "\n".join(
        f"{one.files[f['capture']]['path']}, frame {f['frame']}: {f['severity']}, {f['confidence']}: {f['title']}"
        for f in findings
    )
    if rule["error"]:
        return [("error", "the rule failed", "\n".join(map(show, rule["error"].splitlines())))]
    if bad:
        return [("failure", show(findings[0]["title"]), text)]
    if one.cells[code] is Outcome.NOT_ASSESSED:
        return [("skipped", show(rule["reason"] or "not assessed"), "")]
    return [("system-out", "", text)] if findings else []


def _case(suite: ET.Element, recording: str, name: str, *parts: tuple[str, str, str]) -> None:
    case = ET.SubElement(suite, "testcase", classname=recording, name=name, time="0")
    for kind, message, text in parts:
        part = ET.SubElement(case, kind)
        if message:
            part.set("message", message)
        if kind in ("failure", "error"):
            part.set("type", kind)
        part.text = "\n".join(map(show, text.split("\n"))) or None
