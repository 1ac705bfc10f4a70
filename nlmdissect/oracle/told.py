"""A comparison for people and for scripts."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from nlmdissect.errors import UsageError
from nlmdissect.escape import shorten, show, show_bytes
from nlmdissect.oracle.agreed import BODY, explain
from nlmdissect.oracle.compare import values
from nlmdissect.oracle.fields import wireshark
from nlmdissect.oracle.record import CALL, Message, keyed
from nlmdissect.protocols import find, program_name

if TYPE_CHECKING:
    from nlmdissect.oracle.check import Crosscheck

SCHEMA = "nlmdissect.crosscheck/1"
MANY = 50  # surprises; JSON has all
LONG = 160  # characters of a value

Table = list[tuple[str, ...]]


def text(check: Crosscheck, frames: Collection[int] = ()) -> str:
    """What was compared and what differs; or both readings of some frames. Raises UsageError for frames without any."""
    return "".join(f"{line}\n" for line in (_frames(check, sorted(set(frames))) if frames else _whole(check)))


def _whole(check: Crosscheck) -> Iterator[str]:
    result, n = check.result, check.result.counts
    wrong = len(check.surprises) + len(result.torn)
    verdict = f"differ in {wrong} places, and no reason is known" if wrong else "agree"
    yield f"{show(check.path)}: nlmdissect and tshark {check.tshark} {verdict}"
    yield (
        f"compared {n['messages']} messages: {n['fields']} fields, {n['table']} of them in the table of calls, "
        f"{n['links']} links between messages"
    )
    if check.complaint:
        yield f"tshark did not read the file to its end: {show(check.complaint)}"
    if check.agreed:
        yield from ("", "Known differences, and how often they were met")
        for row, times in check.agreed.most_common():
            yield f"  {times:6}  {_names(row.field)}: {row.reason}"
    if wrong:
        yield from ("", "Differences without a known reason; please report them, with the frames if you can")
        for d in check.surprises[:MANY]:
            yield f"  frame {d.frame}  {_message(d.our_message or d.their_message)}"
            yield f"    {d.field}: nlmdissect {_value(d.ours)}, tshark {_value(d.theirs)}"
        yield from (f"  in nlmdissect itself: {show(line)}" for line in result.torn[:MANY])
        if wrong > MANY:
            yield "  and more: --format json has all"
    yield from ("", "Fields compared")
    rows: Table = [("program", "field", "in Wireshark", "compared", "equal", "known", "surprises")]
    for row_ in document(check, "")["fields"]:
        counts = (row_["compared"], row_["equal"], row_["agreed"], row_["surprises"])
        rows.append((row_["program"], row_["field"], ", ".join(row_["wireshark"]), *(str(n or "-") for n in counts)))
    yield from _table(rows, numbers=4)


def _frames(check: Crosscheck, frames: Sequence[int]) -> Iterator[str]:
    ours, theirs = (dict(keyed(messages)) for messages in (check.result.context.ours, check.result.context.theirs))
    reasons: dict[tuple[int, int, str], str] = {}
    for d in check.result.differences:
        row = explain(d, check.tshark)
        reasons[id(d.our_message), id(d.their_message), d.field] = f"known: {row.reason}" if row else "NOT KNOWN"
    keys = [key for key in {**ours, **theirs} if key[0] in frames]
    if missing := set(frames) - {key[0] for key in keys}:
        raise UsageError(
            f"no message of portmap, NLM, NSM or MOUNT is in frame {min(missing)}",
            "A message is in the frame in which its last byte came.",
        )
    for key in sorted(keys, key=lambda key: key[0]):
        a, b = ours.get(key), theirs.get(key)
        yield f"frame {key[0]}  {_message(a or b)}"
        if a is None or b is None:
            reason = reasons.get((id(a), id(b), "message"), "")
            yield f"  seen by {'tshark' if a is None else 'nlmdissect'} alone; {reason}"
            continue
        rows: Table = [("field", "in Wireshark", "nlmdissect", "tshark", "")]
        for name, (x, y) in values(a, b).items():
            reason = "" if x == y else reasons.get((id(a), id(b), name), "")
            rows.append((name, ", ".join(wireshark(a.program, name)), _value(x), "=" if x == y else _value(y), reason))
        yield from _table(rows)
        yield ""


def json_text(check: Crosscheck, version: str) -> str:
    """The document, with a line end."""
    return json.dumps(document(check, version), indent=1, ensure_ascii=True).replace("\x7f", "\\u007f") + "\n"


def document(check: Crosscheck, version: str) -> dict[str, Any]:
    """The document as plain lists and dicts. Bytes are hex; a value that one side does not have is null."""
    counts, differs = check.result.counts, _counted(check)
    return {
        "schema": SCHEMA,
        "version": version,
        "tshark": check.tshark,
        "capture": check.path,
        "complaint": check.complaint or None,
        "clean": check.clean,
        "counts": {name: counts[name] for name in ("messages", "fields", "table", "links")},
        "fields": [
            {
                "program": program_name(program),
                "field": name,
                "wireshark": list(wireshark(program, name)),
                "compared": times,
                "equal": times - differs[program, name].total(),
                "agreed": differs[program, name][True],
                "surprises": differs[program, name][False],
            }
            for (program, name), times in sorted(check.result.compared.items())
        ],
        "agreed": [
            {"field": _names(row.field), "reason": row.reason, "count": times}
            for row, times in check.agreed.most_common()
        ],
        "surprises": [
            {
                "frame": d.frame,
                "message": _message(d.our_message or d.their_message),
                "field": d.field,
                "ours": _plain(d.ours),
                "tshark": _plain(d.theirs),
            }
            for d in check.surprises
        ],
        "inconsistent": check.result.torn,
    }


def _counted(check: Crosscheck) -> dict[tuple[int, str], Counter[bool]]:
    """For each field how many differences are known (True) and not (False)."""
    found: dict[tuple[int, str], Counter[bool]] = defaultdict(Counter)
    surprising = {id(d) for d in check.surprises}
    for d in check.result.differences:
        if d.our_message is not None and d.their_message is not None:
            found[d.our_message.program, d.field][id(d) not in surprising] += 1
    return found


def _names(field: str) -> str:
    return field if field == BODY else field.replace("|", ", ") if len(field) < 60 else "any string"


def _message(m: Message | None) -> str:
    if m is None:
        return "the order of messages"
    known = find(m.program, m.version, m.procedure)
    procedure = known.name if known else f"procedure {m.procedure}"
    what = f"{program_name(m.program)}{m.version} {procedure}" if m.program >= 0 else "of no known call"
    ends = f"{m.src}:{m.sport} > {m.dst}:{m.dport} {'TCP' if m.tcp else 'UDP'}"
    return f"{what} {'call' if m.kind == CALL else 'answer'}, {ends}, xid {m.xid:#010x}"


def _value(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_value, value)) or "-"
    if isinstance(value, bytes):
        text_ = show_bytes(value)
        return shorten(f'"{text_}"' if value.isascii() and text_.encode() == value else value.hex(), LONG)
    return "-" if value is None else str(value)


def _plain(value: object) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    return value.hex() if isinstance(value, bytes) else value


def _table(rows: Table, numbers: int = 0) -> Iterator[str]:
    """Columns; the last ``numbers`` of them to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    first = len(widths) - numbers
    for row in rows:
        cells = (c.rjust(w) if n >= first else c.ljust(w) for n, (c, w) in enumerate(zip(row, widths, strict=True)))
        yield f"  {'  '.join(cells)}".rstrip()
