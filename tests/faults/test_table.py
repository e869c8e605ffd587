"""The page on reliability: made from the tests, and in step with them."""

import json

import pytest

from . import table

ROWS = [("b", 2, "fine"), ("a", 1, "also fine"), ("b", 1_500, "fine"), ("gone", 1, "fine")]


def records(rows):
    return [dict(zip(("fault", "count", "result"), row, strict=True)) for row in rows]


def test_the_page_lists_exactly_the_faults_that_the_tests_name():
    rows = table.listed(table.PAGE.read_text(encoding="utf-8"))
    assert set(rows) == table.named(), "run `make test-all` and commit docs/reliability.md"
    assert table.page(rows, set(rows)) == table.PAGE.read_text(encoding="utf-8")


def test_counts_add_up_and_the_page_is_sorted_and_stable():
    rows = table.counted(records(ROWS))
    text = table.page(rows, {"a", "b"})
    assert text.removeprefix(table.HEAD) == "| a | 1 | also fine |\n| b | 1,502 | fine |\n"
    assert table.page(table.listed(text), {"a", "b"}) == text


def test_a_fault_with_two_results_is_a_mistake():
    with pytest.raises(SystemExit, match="'b' has two results"):
        table.counted(records([*ROWS, ("b", 1, "bad")]))


def test_a_run_keeps_the_rows_of_skipped_tests_and_drops_those_of_no_test(tmp_path, monkeypatch, reliability):
    monkeypatch.setattr(table, "PAGE", tmp_path / "docs/page.md")
    monkeypatch.setattr(table, "named", lambda: {"a", "b"})
    monkeypatch.setenv("FORMERBENCH_RELIABILITY", str(tmp_path / "counts"))
    for row in ROWS:
        reliability(*row)
    table.main()
    (tmp_path / "counts").write_text(json.dumps(records([("a", 7, "new")])[0]) + "\n")
    table.main()
    assert table.listed(table.PAGE.read_text()) == {"a": (7, "new"), "b": (1_502, "fine")}


def test_faults_are_found_in_the_source_of_the_tests(tmp_path):
    (tmp_path / "test_one.py").write_text(
        'FAULTS = {"key": 1}\ndef test(reliability):\n    reliability("literal", 1, "x")\n'
        '    reliability(fault="word", count=1, result="x")\n    reliability(fault, 1, "x")\n'
    )
    assert table.named(tmp_path) == {"key", "literal", "word"}
