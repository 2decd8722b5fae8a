"""The report says what was proven before training, and shows the mask in colour."""

from pipeline.report.contents import Report
from pipeline.report.html import render

PROOFS = [
    {"name": "loss mask", "value": 0.2229, "threshold": 1, "text": "416 of 1,866 tokens"},
    {"name": "gradients", "value": 28, "threshold": 28, "text": "gradients arrive at all 28"},
]
MASKS = [
    {
        "pair_id": "a" * 16,
        "tokens": [["<|im_start|>", False], ["user\nWhy?", False], ["Rain", True], ["<b>", True]],
    }
]


def page(content, **training):
    return render(Report.model_validate(content | {"training": content["training"] | training}))


def test_each_proof_has_its_line_and_the_trained_tokens_stand_out(content):
    html = page(content, proofs=PROOFS, masks=MASKS)
    assert "What was proven before training" in html
    assert "<tr><th>loss mask</th><td>416 of 1,866 tokens</td>" in html
    assert '<td class="number">28</td><td class="number">28</td>' in html
    assert "2 of 4 tokens trained" in html
    assert "<i>&lt;|im_start|&gt;</i><i>user\nWhy?</i><b>Rain</b><b>&lt;b&gt;</b>" in html


def test_a_training_from_before_the_proofs_has_no_such_section(content):
    assert "What was proven" not in page(content)
