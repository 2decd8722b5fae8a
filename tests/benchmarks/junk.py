"""Junk made of real pages, as a crawl or a conversion leaves it, to see that it still goes."""

import base64
import random
import re
import string
import textwrap
import zlib
from collections.abc import Callable

from tests.benchmarks.debian_pages import Page, labels, text_of

LOREM = (
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt.",
    "Ut enim ad minim veniam, quis nostrud exercitation ullamco laboris nisi ut aliquip.",
    "Duis aute irure dolor in reprehenderit in voluptate velit esse cillum dolore eu fugiat.",
)
SLOGANS = (
    "Buy {} online now and save.",
    "Buy {} online cheap, best price for {}.",
    "Looking for {}? Buy {} online now, free shipping for {}.",
    "Best {} deals, top {} offers, buy {} online now.",
)
SIGNS = string.punctuation + "█▒¤¶§¬¦†‡■□◆◊"

Making = Callable[[Page, random.Random], tuple[str, str]]
"""Takes a page of HTML and dice; returns the ending of a file and its text."""


def error_page(page: Page, dice: random.Random) -> tuple[str, str]:
    """Return what a server answers when there is no page."""
    said = f"<h1>Not Found</h1><p>The requested URL /{page.name} was not found on this server.</p>"
    return ".html", f"<html><body>{said}<hr><address>Apache/2.4</address></body></html>"


def menu(page: Page, dice: random.Random) -> tuple[str, str]:
    """Return the links of a page and no more."""
    rows = "".join(f'<li><a href="/{n}">{label}</a></li>' for n, label in enumerate(labels(page)))
    return ".html", f"<html><body><ul>{rows}</ul></body></html>"


def filler(page: Page, dice: random.Random) -> tuple[str, str]:
    """Return a template that nobody filled: a heading, and Lorem ipsum below."""
    lines = [dice.choice(LOREM) for _ in range(dice.randint(8, 40))]
    return ".txt", "\n\n".join([_name(page), *lines])


def keywords(page: Page, dice: random.Random) -> tuple[str, str]:
    """Return the start of a page below slogans that stuff it with its name."""
    name = _name(page)
    said = " ".join(dice.choice(SLOGANS).replace("{}", name) for _ in range(40))
    return ".txt", f"{said}\n\n{' '.join(text_of(page).split()[:60])}"


def repeated(page: Page, dice: random.Random) -> tuple[str, str]:
    """Return a passage of a page over and over, as a loop of templates or a weak model writes."""
    words = text_of(page).split()
    at = dice.randrange(max(1, len(words) - 30))
    return ".txt", " ".join(words[at : at + 30] * dice.randint(6, 20))


def one_label(page: Page, dice: random.Random) -> tuple[str, str]:
    """Return the label of a button again and again."""
    return ".txt", f"{dice.choice(('Read more', 'Click here', 'Add to cart'))}\n\n" * 120


def shuffled(page: Page, dice: random.Random) -> tuple[str, str]:
    """Return a page whose letters are in no order, as a font without its table of letters gives."""
    letters = list(_lines(page))
    dice.shuffle(letters)
    return ".txt", "".join(letters)


def noise(page: Page, dice: random.Random) -> tuple[str, str]:
    """Return a page of which a scanner read a third of the signs as something else."""
    signs = (
        dice.choice(SIGNS) if not each.isspace() and dice.random() < 1 / 3 else each
        for each in _lines(page)
    )
    return ".txt", "".join(signs)


def misread(page: Page, dice: random.Random) -> tuple[str, str]:
    """Return a page of which a scanner read a third as other letters, digits and signs."""
    known = string.ascii_letters + string.digits + string.punctuation
    signs = (
        dice.choice(known) if not each.isspace() and dice.random() < 1 / 3 else each
        for each in _lines(page)
    )
    return ".txt", "".join(signs)


def keyword_list(page: Page, dice: random.Random) -> tuple[str, str]:
    """Return nine words of a page in no order, again and again."""
    words = text_of(page).split()
    chosen = [_name(page), *dice.sample(words, min(8, len(words)))]
    return ".txt", " ".join(dice.choice(chosen) for _ in range(400))


def bare_menu(page: Page, dice: random.Random) -> tuple[str, str]:
    """Return the texts of the links of a page as lines, without the links."""
    return ".txt", "\n".join(labels(page))


def encoded(page: Page, dice: random.Random) -> tuple[str, str]:
    """Return an attachment in base 64, cut off, below a line of text."""
    data = base64.b64encode(zlib.compress(page.data))[: dice.randint(800, 4_000)].decode()
    wide = dice.choice((76, 5_000))
    lines = "\n".join(data[at : at + wide] for at in range(0, len(data), wide))
    return ".txt", f"This is a message with parts in MIME format.\n\n{lines}"


def binary(page: Page, dice: random.Random) -> tuple[str, str]:
    """Return what is legible of a compressed file, read as Latin-1."""
    text = zlib.compress(page.data)[: dice.randint(800, 4_000)].decode("latin-1")
    return ".txt", re.sub(r"[\0-\x08\x0b-\x1f\x7f-\x9f]+", " ", text)


def contents(page: Page, dice: random.Random) -> tuple[str, str]:
    """Return a table of contents with the numbers of pages, as print has it."""
    lines = [
        f"{n}.{dice.randint(1, 9)} {label} {'. ' * dice.randint(8, 25)}{n * 3}"
        for n, label in enumerate(labels(page))
    ]
    return ".txt", "\n".join(lines)


def _lines(page: Page) -> str:
    return textwrap.fill(" ".join(text_of(page).split())[:3_000], 80)


def _name(page: Page) -> str:
    return re.sub(r"\W+", " ", page.name.rsplit(".", 1)[0].split("-", 1)[1]).strip()


KINDS: dict[str, Making] = {
    "error page": error_page,
    "menu": menu,
    "filler": filler,
    "keywords": keywords,
    "repeated passage": repeated,
    "one label": one_label,
    "letters shuffled": shuffled,
    "scanner's noise": noise,
    "base 64": encoded,
    "binary": binary,
    "contents": contents,
}
NOT_TOLD: dict[str, Making] = {
    "misread letters": misread,
    "keywords, no order": keyword_list,
    "menu without links": bare_menu,
}
"""What no rule is made for yet: measured, without a bar."""
