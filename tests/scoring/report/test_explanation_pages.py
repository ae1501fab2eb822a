"""The page that `protoscore explain` draws."""

import re

import numpy as np

from scoring.report.explanation_pages import ShownExample, ShownPoint, render_explanations

POINT = ShownPoint(
    train_id=3,
    label="shoe",
    content=np.zeros((4, 4, 1), np.uint8),
    sensitivity=np.eye(4),
    value=0.5,
    alpha=0.25,
    similarity=2.0,
)


def shown(test_id, output):
    return ShownExample(
        test_id=test_id,
        name="<b>.png",
        label="bag",
        predicted="shoe",
        output=output,
        content=np.zeros((4, 4, 1), np.uint8),
        excitatory=[POINT],
        inhibitory=[],
    )


def render(report=""):
    examples = [shown(70, "bag"), shown(70, "shoe"), shown(71, "bag")]
    return render_explanations("shapes", "the last layer", examples, report=report)


def test_examples_link_to_the_report():
    html = render("../report")
    assert html.count('href="../report/examples.html#split=test&amp;example=70"') == 2
    assert html.count('href="../report/examples.html#split=train&amp;example=3"') == 3
    assert 'href="../report/index.html"' in html
    assert "examples.html" not in render()
    assert "<b>.png" not in html


def test_each_example_has_one_anchor():
    assert re.findall('id="(example-[^"]+)"', render()) == ["example-70", "example-71"]


def test_colours_are_those_of_the_report():
    html = render()
    assert '<h3 class="prototypical">Excitatory</h3>' in html
    assert '<h3 class="outlying">Inhibitory</h3>' in html
    assert html.count("sensitivity map") == 3
