"""The benchmark runs, and its arithmetic is right. These tests do not check speeds."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from benchmark import picture, report
from benchmark.contestants import CONTESTANTS, parameters
from benchmark.figures import GOALS, Goal
from benchmark.machine import cores, pinned
from benchmark.report import BEGIN, END
from benchmark.rounds import paired, ratio, spread

_BLOCKING = ("azure-this", "requests", "lambda-this")
_PAGES = ("performance.md", "benchmark.md")
_DOCS = Path(__file__).parents[1] / "docs"
_ONLY = (*_BLOCKING, "azure-this-async", "lambda-this-async")


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The output of a run with one round and five contestants, and the folder of its files."""
    docs = tmp_path_factory.mktemp("docs")
    for page in _PAGES:
        (docs / page).write_text(f"Before.\n\n{BEGIN}\nold\n{END}\n\nAfter.\n")
    run = subprocess.run(
        (sys.executable, "-m", "benchmark", "--smoke", "--docs", str(docs), "--only", *_ONLY),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout, docs


def test_the_benchmark_ends_with_the_table_of_goals(smoke: tuple[str, Path]) -> None:
    """Each goal has a row, even if it was not measured."""
    rows = smoke[0].splitlines()[-len(GOALS) :]
    assert [row.split("|")[1].strip() for row in rows] == [goal.what for goal in GOALS]
    assert "missing" not in rows[0].split("|")[5]
    assert rows[1].split("|")[6].strip() == "not measured"


@pytest.mark.parametrize(
    ("page", "headings"),
    [
        ("performance.md", ("## Starting", "## What it means for a service")),
        ("benchmark.md", ("### Importing and opening", "### Asynchronous calls")),
    ],
)
def test_a_page_keeps_its_other_text(smoke: tuple[str, Path], page: str, headings: tuple[str, ...]) -> None:
    """Only the text between the markers is replaced."""
    text = (smoke[1] / page).read_text()
    assert text.startswith("Before.\n")
    assert text.endswith(f"{END}\n\nAfter.\n")
    assert "old" not in text
    assert all(f"\n{heading}\n" in text for heading in headings)


def test_the_page_for_users_has_rows_of_measured_values(smoke: tuple[str, Path]) -> None:
    """Each row has a value of a common library and a value of this client."""
    text = (smoke[1] / "performance.md").read_text()
    assert re.search(r"^\| Azure, 100 B \| [\d,]+.µs \(\d\.\d\d\) \| [\d,]+.µs, `requests` \|$", text, re.MULTILINE)
    assert "`boto3`" not in text.partition(END)[0]  # this run did not measure it
    assert "goal" not in text


def test_the_committed_pages_match_the_committed_figures() -> None:
    """`PYTHONPATH=test python -m benchmark --pages` writes them."""
    figures = json.loads((_DOCS / "performance.json").read_text())
    generated = {
        "performance.md": report.for_users(figures),
        "benchmark.md": report.for_contributors(figures, "benchmark.svg"),
    }
    for name, text in generated.items():
        page = (_DOCS / name).read_text()
        assert page == report.replace_generated(page, text)
    assert (_DOCS / "performance.svg").read_text() == picture.for_users(figures)
    assert (_DOCS / "benchmark.svg").read_text() == picture.for_contributors(figures)


def test_the_json_has_every_measurement(smoke: tuple[str, Path]) -> None:
    """Each contestant has its figures in each measurement that it takes part in."""
    found = json.loads((smoke[1] / "performance.json").read_text())
    timed = {(cell["provider"], cell["size"], cell["threads"]): cell["seconds"] for cell in found["calls"]}
    assert set(timed["Azure", 100, 1]) == {"azure-this", "requests"}
    assert set(timed["Lambda", 100, 16]) == {"lambda-this"}
    awaited = {(cell["provider"], cell["tasks"]): set(cell["cpu_seconds"]) for cell in found["tasks"]}
    assert awaited["Azure", 64] == awaited["Azure", 1] == {"azure-this-async"}
    assert set(found["at_once"]) == {"azure-this-async", "lambda-this-async"}
    assert set(found["imports"]) == {"azure-this", "requests"}
    assert set(found["first_open"]) == set(found["next_opens"]) == set(found["client_bytes"]) == set(_BLOCKING)
    assert {peak["provider"] for peak in found["peak_bytes"] if all(peak["bytes"].values())} == {"Azure", "Lambda"}


def test_the_plot_names_the_contestants(smoke: tuple[str, Path]) -> None:
    """It has a bar for each contestant of a measurement."""
    assert (smoke[1] / "benchmark.svg").read_text().count(">requests.Session.post<") == 2
    assert (smoke[1] / "performance.svg").read_text().count(">requests.Session.post<") == 1


def test_a_ratio_is_calculated_for_each_pair() -> None:
    """A round in which the machine was slow for both does not change the ratio."""
    assert ratio({"a": [1.0, 10.0, 2.0], "b": [2.0, 20.0, 4.0]}, "a", "b") == spread([0.5, 0.5, 0.5])
    assert ratio({"a": [1.0]}, "a", "b") is None


def test_rounds_begin_with_different_contestants() -> None:
    """Each round has each contestant once."""
    order: list[str] = []

    def sampler(name: str) -> tuple[float, ...]:
        order.append(name)
        return (1.0, 2.0)

    assert paired({name: partial(sampler, name) for name in "abc"}, 0, 2) == [
        {name: [1.0, 1.0] for name in "abc"},
        {name: [2.0, 2.0] for name in "abc"},
    ]
    assert order == list("abcbca")


@pytest.mark.parametrize(
    ("goal", "figure", "verdict"),
    [
        (GOALS[0], 0.19, "stretch reached"),
        (GOALS[0], 0.27, "goal reached"),
        (GOALS[0], 0.32, "not reached: 19% above the goal"),
        (GOALS[2], 6.1, "stretch reached"),
        (GOALS[2], 5.0, "goal reached"),
        (GOALS[2], 2.5, "not reached: 50% below the goal"),
        (GOALS[5], 0.94, "goal reached"),
    ],
)
def test_a_goal_shows_by_how_much_it_is_missed(goal: Goal, figure: float, verdict: str) -> None:
    """A higher number of calls per second is better. Of all other figures, a lower one is better."""
    assert goal.verdict(spread([figure])) == verdict


@pytest.mark.parametrize("size", [100, 10_000, 1_000_000])
def test_parameters_have_their_size(size: int) -> None:
    """Their JSON has the size, within 10 %."""
    assert len(json.dumps(parameters(size))) == pytest.approx(size, rel=0.1)


def test_each_contestant_has_its_own_bar() -> None:
    """No two contestants of a provider have the same title."""
    titles = [(contestant.provider, contestant.title) for contestant in CONTESTANTS.values()]
    assert len(set(titles)) == len(titles)


@pytest.mark.skipif(cores()[1] < 0, reason="needs two cores that can be pinned")
def test_a_pinned_process_is_released() -> None:
    """It may use all its cores afterwards."""
    before, core = os.sched_getaffinity(0), cores()[1]
    with pinned(core):
        assert os.sched_getaffinity(0) == {core}
    assert os.sched_getaffinity(0) == before
