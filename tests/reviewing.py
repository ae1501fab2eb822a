"""A reviewer at the page of a review: begins, and decides by keyboard."""

from collections.abc import Sequence

from chromium import Chromium

AT = "Number(document.getElementById('screen').dataset.at)"
SEEN = "['intro', 'screen', 'done'].find(id => !document.getElementById(id).hidden)"
KEYS = {"keep": "k", "relabel": "r", "ambiguous": "a", "exclude": "x", "skip": "s"}


def start(page: Chromium, address: str, reviewer: str = "ann") -> None:
    """Open the page and say who one is."""
    page.open(address)
    page.until(f"{SEEN} === 'intro'")
    page.type(reviewer)
    page.press("Enter")
    page.until(f"{SEEN} === 'screen'")


def decide(page: Chromium, number: int, decision: str, letters: str = "") -> None:
    """Decide on a check, when it is shown.

    Args:
        page: the page, begun.
        number: the check's, from 0.
        decision: to relabel means to the suggested class, unless there are letters.
        letters: those of the class to choose; it is the first that has them in its name.
    """
    page.until(f"{AT} === {number}")
    if letters:
        page.press("c")
        page.until("document.getElementById('picker').open")
        page.type(letters)
        page.press("Enter")
    else:
        page.press(KEYS[decision])


def decide_all(page: Chromium, decisions: Sequence[tuple[str, str]]) -> None:
    """Decide on every check of the queue: the decision, and perhaps letters of a class."""
    for number, (decision, letters) in enumerate(decisions):
        decide(page, number, decision, letters)
    page.until(f"{SEEN} === 'done'")
