"""What `make qualify-clouds` prints of its cases."""

from tests.drills import case_table

FIGURES = {"cases": 1, "leaked": 0, "lost": 0, "bought twice": 0}


def test_cases_are_a_table_by_module_with_those_that_passed_before_and_those_that_failed() -> None:
    passed = {
        "tests/a.py::test_it[500, ordering]": FIGURES,
        "tests/a.py::test_alone": FIGURES,
        "tests/b.py::test_no_case": {},
    }
    failed = ["tests/a.py::test_it[429, listing]", "tests/b.py::test_other"]
    assert case_table(passed, {*passed, *failed}, failed) == [
        "",
        "tests/a.py",
        "case | outcome | leaked | lost | bought twice",
        "--- | --- | --- | --- | ---",
        "429, listing | FAILED | ? | ? | ?",
        "500, ordering | got through | 0 | 0 | 0",
        "alone | got through | 0 | 0 | 0",
    ]


def test_without_cases_there_is_no_table() -> None:
    assert case_table({"tests/b.py::test_no_case": {}}, {"tests/b.py::test_no_case"}, []) == []
