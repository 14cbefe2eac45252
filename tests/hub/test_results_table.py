"""The table of an evaluation's figures."""

from markdown_it import MarkdownIt

from hub.results_table import ROWS, table, variant_metrics

SHARE = {"value": 0.25, "low": 0.2, "high": 0.3}
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
    assert table(RESULTS).endswith(
        "DPO preferred to fine-tuned by PMI: 25.0% (20.0% to 30.0%), ties (10.0%) counted as half"
    )


def test_plain_figures_have_the_names_of_the_table():
    figures = variant_metrics(RESULTS, "sft")
    assert figures["Ended by <|im_end|>"] == 0.25
    assert len(figures) == len(ROWS)
