"""The rows of the mutants fit the source: a guard whose text has moved is found by the quick tests, not after an hour."""

from __future__ import annotations

from tests.mutants.__main__ import ROOT, all_mutants


def test_the_text_of_each_guard_stands_once_in_its_file() -> None:
    """If this fails, mend `tests/mutants`: the guard is written otherwise now, or is gone."""
    sources = {mutant.file: (ROOT / mutant.file).read_text("utf-8") for mutant in all_mutants()}
    lost = [mutant.name for mutant in all_mutants() if sources[mutant.file].count(mutant.old) != 1]
    assert lost == []


def test_each_mutant_has_a_name_of_its_own_and_changes_something() -> None:
    names = [mutant.name for mutant in all_mutants()]
    assert sorted(set(names)) == sorted(names)
    assert [mutant.name for mutant in all_mutants() if mutant.old == mutant.new] == []
