from rag.tables import table_spans, tabular

CELLS = "Net sales\n$\n1,204\n$\n1,150\nCosts\n801\n790\nMargin\n403\n360"
ROWS = "Net sales 1,204 1,150\nCosts 801 790\nMargin 403 360\nTaxes 12 9"
PROSE = "Sales rose by 4 % in 2018, to 1,204. Costs rose less than that did, as we had hoped."


def test_cells_and_rows_are_tables() -> None:
    for table in (CELLS, ROWS):
        assert [span.text_in(table) for span in table_spans(table)] == [table]
        assert tabular(table)


def test_prose_and_lists_are_none() -> None:
    for text in ("", PROSE, "Apples\nPears\nPlums\nCherries\nQuinces", "1\n2\n3"):
        assert not list(table_spans(text))
        assert not tabular(text)


def test_a_table_below_prose() -> None:
    text = f"{PROSE}\n\n{CELLS}"
    assert [span.text_in(text) for span in table_spans(text)] == [CELLS]
