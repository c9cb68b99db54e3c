"""The page "How a call flows" names the functions that a call runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.walk import walk

PAGE = (Path(__file__).parents[2] / "docs" / "how-a-call-flows.md").read_text("utf-8")


@pytest.mark.parametrize("provider", ["Azure", "Lambda"])
def test_the_table_has_the_functions_of_a_call(provider: str) -> None:
    """Each function of the table runs, in the order of the table."""
    section = PAGE.partition(f"\n### {provider}\n")[2].partition("\n### ")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:5]] for line in section.splitlines() if line[:1] == "|"][2:]
    steps = iter(walk(provider.lower()).steps)
    for layer, file, functions, _ in rows:
        for function in functions.replace("`", "").split(", "):
            assert any(
                step.name.rpartition(".")[2] == function
                and (step.file == file.strip("`") if file else step.owner == layer)
                for step in steps
            ), f"{layer}: {function} of {file} is not run, or not in this place"


@pytest.mark.parametrize(("provider", "library"), [("azure", "requests"), ("lambda", "botocore")])
def test_a_call_uses_only_the_libraries_of_the_page(provider: str, library: str) -> None:
    """Below the provider's library, all functions belong to this package, except for values that it passes."""
    found = walk(provider)
    assert found.deepest[:3] == ["ours", library, "ours"]
    wire = [step for step in found.steps if step.file.startswith("_wire/")]
    assert len(wire) > 10
    assert {step.owner for step in found.steps} - {"other", "ours", library} <= {"urllib3"}
    assert {Path(step.file).name for step in found.steps if step.owner == "urllib3"} <= {"timeout.py"}
