"""The table of an evaluation's figures."""

from markdown_it import MarkdownIt

from hub.results_table import ROWS, metric_rows, table, variant_metrics

SHARE = {"value": 0.25, "low": 0.2, "high": 0.3, "p_value": 0.002, "clusters": 60}
RESULTS = {
    "prompts": 1200,
    "candidates": 20,
    "voices": {name: dict.fromkeys(ROWS, SHARE) for name in ("base", "dpo", "sft")},  # as lineage.json sorts them
    "judge": "PMI",
    "preferred": {"dpo over sft": {"rate": SHARE, "ties": 0.1}},
}


def test_every_row_has_a_cell_for_each_variant_whatever_stands_in_its_title():
    lines = [line for line in table(RESULTS).splitlines() if line.startswith("|")]
    assert lines[0] == "| 1,200 test prompts | base | fine-tuned | DPO |"
    html = MarkdownIt("gfm-like", {"linkify": False}).render("\n".join(lines))
    rows = html.split("<tr>")[2:]
    assert len(rows) == len(ROWS)
    assert all(row.count("<td") == 4 for row in rows)
    assert "<code>&lt;|im_end|&gt;</code>" in html
    assert "Hits@1/20 by PMI (chance is 5.0%)" in html
    assert (
        "\nDPO preferred to fine-tuned by PMI: 25.0% (20.0% to 30.0%), ties (10.0%) counted as half, p = 0.0020\n"
        in (table(RESULTS))
    )


def test_plain_figures_have_the_names_of_the_table():
    figures = variant_metrics(RESULTS, "sft")
    assert figures["Ended by <|im_end|>"] == 0.25
    assert len(figures) == len(ROWS)


def test_figures_stand_in_the_order_of_training_whatever_the_file_s():
    assert all(list(row.values) == ["base", "sft", "dpo"] for row in metric_rows(RESULTS))


def test_two_films_are_too_few_and_nothing_is_printed_bare():
    """Audit: the demo has 2 films, of which no p below .25 is possible, and printed intervals all the same."""
    few = {"value": 0.25, "low": None, "high": None, "p_value": None, "clusters": 2}
    voices = {name: dict.fromkeys(ROWS, few) for name in ("base", "dpo", "sft")}
    rate = {"dpo over sft": {"rate": few, "ties": 0.1}}
    text = table(
        RESULTS | {"films": 2, "voices": voices, "preferred": rate, "paired": {"dpo - sft": {"hits_pmi": few}}}
    )
    assert "2 films: too few for intervals and tests" in text
    assert "DPO less fine-tuned, Hits@1/20 by PMI: +25.0 points, 2 films: too few" in text
    assert "preferred to fine-tuned by PMI: 25.0%, ties (10.0%) counted as half, 2 films: too few" in text
    assert " to 30" not in text
    assert "p =" not in text


def test_plain_distinct_n_stands_beside_no_other():
    assert not {"distinct_1", "distinct_2"} & set(ROWS)
    assert {"distinct_1_equal", "distinct_2_equal"} <= set(ROWS)
