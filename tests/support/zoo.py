"""Names that somebody might put into a packet so that whoever shows them does what they say."""

from __future__ import annotations

MARK = b"Zq"  # in each of them, so that a test finds them again

NAMES: tuple[bytes, ...] = (
    b"Zq\x1b[2J\x1b[31mred",  # clears a terminal, and colours it
    b"Zq\x1b]0;title\x07\x1b]8;;http://x.example\x1b\\link",
    b"Zq\r\nHEALTHY nothing is wrong",
    b"Zq\x00\x01\x7f\x80\x9b31m",
    b"Zq\x08\x08\x08\x08hidden\x0b\x0c",
    "Zq\u202egnp.exe\u2066\u200f\ufeff\u2028\u2029".encode(),  # turns the order of letters round
    "Zq\u0430\u0435\u043e\U000e0041\U0010ffff\u0301".encode(),
    b"Zq<script>alert(1)</script>",
    b"Zq\"><img src=x onerror=alert(1)>",
    b"Zq' onmouseover='alert(1)",
    b"Zq</title></script></style><svg/onload=alert(1)>",
    b"Zq&lt;b&gt;&#60;script&#62;&amp;",
    b"javascript:alert(`Zq`)",
    b"Zq${alert(1)}{{7*7}}{%raw%}%{env}%s%n%(x)s{0}",
    b"=cmd|' /C calc'!A1Zq",
    b"+1+Zq",
    b"-2+3Zq",
    b"@SUM(Zq)",
    b"\t=1+1Zq",
    b"Zq,\"a\";b\n=1",
    b"Zq[link](javascript:alert(1)) ![x](http://x.example/i.png) `code` **b** | a | b |",
    b"# Zq\n- [ ] list\n---",
    b"Zq]]><!-- --><?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]>&b;",
    b"../../../../tmp/Zq",
    b"/etc/passwd\x00Zq",
    b"C:\\Zq\\..\\CON",
    b"~/.ssh/Zq|rm -rf $HOME;`id`$(id)",
    b"-o/tmp/Zq",
    b"[bold red]Zq[/] [link=http://x.example]x[/link] :smile:",
    b"Zq" + b"A" * 1022,
    b"Zq" + b"\xff\xfe" * 511,
    b"Zq\xc3(\xa0\xed\xa0\x80\xf8",
    b"Zq NaN Infinity null None -0 1e999",
    b"Zq   ",
    b"Zq",
)
