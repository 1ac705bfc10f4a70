"""The promises of the tree: imports go one way, heavy libraries have one door, files stay small, rules are complete."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import nlmdissect
from nlmdissect.rules import RULES

ROOT = Path(nlmdissect.__file__).parent
TESTS = Path(__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

GROUPS = (
    {"loops"},
    {"errors", "escape", "groups"},
    {"findings"},
    {"xdr"},
    {"protocols"},
    {"capture"},
    {"rpc"},
    {"hosts"},
    {"machines"},
    {"history"},
    {"rules"},
    {"analysis"},
    {"tables", "scapy_layer", "oracle", "evidence", "report"},
    {"state"},
    {"api"},
    {"audit"},
    {"cli"},
    {"__main__"},
)
RANK = {name: rank for rank, names in enumerate(GROUPS) for name in names}
# fmt: off
DOORS = {
    "scapy": {f"scapy_layer/{name}.py" for name in ("xdr", "procedures", "rpc", "session")},
    "pyshark": {"oracle/run.py"},
    "fsspec": {"capture/remote.py"},
    "pandas": {"tables/frames.py", "tables/wide.py", "tables/parquet.py"},
    "pyarrow": {"audit/parquet.py", "tables/parquet.py"},
    "rich": {"audit/text.py", "report/text.py", "report/story_text.py", "report/moment_text.py", "report/progress.py"},
    "click": {
        "cli/__init__.py", "cli/app.py", "cli/audit.py", "cli/capture.py", "cli/crosscheck.py", "cli/options.py", "cli/pages.py",
        "cli/slice.py",
    },
    "dns": {"evidence/anonymise/dns.py", "hosts/resolved.py"},
    "yacryptopan": {"evidence/anonymise/addresses.py"},
    "IPython": {"report/progress.py"},
    "jinja2": {"report/html.py"},
    "plotly": {
        "report/plots/__init__.py", "report/plots/chart.py", "report/plots/distribution.py", "report/plots/fleet.py",
        "report/plots/graph.py", "report/plots/paint.py", "report/plots/rungs.py",
    },
    "dask": {"audit/engine.py"},
    "distributed": {"audit/engine.py"},
    "numba": {"capture/jit.py"},
    "llvmlite": {"capture/native.py"},
}
# fmt: on
LINES = 300


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def imports(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in it; not those for type checkers alone."""
    for node in _running(ast.parse(path.read_text())):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                base = ("nlmdissect", *path.relative_to(ROOT).parts[:-1])[
                    : len(path.relative_to(ROOT).parts) + 1 - level
                ]
                whole = ".".join([*(base if level else ()), *([module] if module else [])])
                yield from (f"{whole}.{alias.name}" for alias in names) if whole.count(".") < 2 else (whole,)


def _running(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            continue
        yield child
        yield from _running(child)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_go_one_way(path: Path) -> None:
    own = path.relative_to(ROOT).parts[0].removesuffix(".py")
    if own == "__init__":
        assert not [m for m in imports(path) if m.startswith("nlmdissect.")]
        return
    for module in imports(path):
        parts = module.split(".")
        if parts[0] != "nlmdissect" or len(parts) < 2 or parts[1] == own:
            continue
        if parts[1] not in RANK:  # a name of the package itself: nlmdissect.__version__, nlmdissect.read
            assert RANK[own] >= RANK["api"], f"{name_of(path)} imports {module} from the top of the package"
        else:
            assert RANK[parts[1]] < RANK[own], f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_heavy_libraries_have_one_door(path: Path) -> None:
    for module in imports(path):
        door = DOORS.get(module.split(".")[0])
        assert door is None or name_of(path) in door, f"{name_of(path)} imports {module}"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_files_stay_small(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LINES


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = {*DOORS, "numpy"}
    code = f"import sys, nlmdissect; print(sorted({heavy!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_analysing_does_not_load_what_only_tables_and_pictures_need() -> None:
    modules = "nlmdissect.cli, nlmdissect.api, nlmdissect.report.text, nlmdissect.report.json"
    unused = {"pandas", "scapy", "plotly", "jinja2"}
    code = f"import sys, {modules}; print(sorted({unused!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_html_report_does_not_load_plotly() -> None:
    code = "import sys, nlmdissect.report.html; print(sorted({'plotly', 'pandas', 'rich'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_every_rule_file_is_in_the_list_and_every_rule_has_a_file() -> None:
    files = {path.stem for path in (ROOT / "rules").glob("*.py") if re.match(r"[a-z]+\d{3}_", path.stem)}
    assert files == {f"{rule.code.lower()}_{rule.name.replace('-', '_')}" for rule in RULES}
    assert len({rule.code for rule in RULES}) == len(RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_has_a_page(rule: object) -> None:
    doc: str = rule.doc  # type: ignore[attr-defined]
    for heading in ("Why it matters:", "How it is seen:", "What it cannot see:", "What to do:"):
        assert heading in doc
