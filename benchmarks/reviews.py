"""A corpus that says everything many times: reviews of products that nobody sells.

Ten products with six aspects each, and a hundred short reviews a product. A review states some of
the aspects, each in one sentence made of an opening, one of several wordings, one of several ways
to put the value, and a tail; most agree on the value, some give another. Nothing is taken from
anybody's text. The same on every call.
"""

from __future__ import annotations

import random
from typing import NamedTuple

from eval.datasets import Question
from eval.located import Located

__all__ = ["Reviews", "make_reviews"]

REVIEWS = 100  # of each product
QUESTIONS = 24
_DISSENT = 0.15  # share of statements that give the other value
_WORDS = (40, 90)  # of a review
_SENTENCES = (3, 6)


class Reviews(NamedTuple):
    """The reviews by name, and questions whose references are all sentences that answer them."""

    texts: dict[str, str]
    questions: list[Question]


_ASPECTS = {
    # aspect -> how it is asked for, and the wordings that state it, parted by "|"
    "battery": (
        "How long does the battery of the {name} last?",
        "the battery lasts {v}|I get {v} out of one charge|"
        "a full charge carries the {kind} through {v}|battery life is about {v}|"
        "the {name} ran for {v} before it wanted the plug|"
        "it needs its charger only after {v} of use",
    ),
    "price": (
        "What does the {name} cost?",
        "I paid {v} for it|the price was {v}|the {name} costs {v}|"
        "at {v} the {kind} is no bargain but fair|it set me back {v}|"
        "the shop wanted {v} for this {kind}",
    ),
    "weight": (
        "How much does the {name} weigh?",
        "it weighs {v}|my scales say {v}|the {name} comes in at {v}|"
        "with a weight of {v} the {kind} is easy to carry around|"
        "{v} is what the {kind} weighs|lifting it you feel the {v}",
    ),
    "warranty": (
        "How long is the warranty of the {name}?",
        "the warranty runs for {v}|the maker gives {v} of warranty|it is covered for {v}|"
        "you get {v} of guarantee with the {name}|"
        "if the {kind} breaks, they replace it within {v}|the guarantee card says {v}",
    ),
    "fault": (
        "What is the weak point of the {name}?",
        "the weak point is {v}|my only complaint is {v}|"
        "what I do not like about the {name} is {v}|"
        "the one thing that lets the {kind} down is {v}|{v} is where they saved money|"
        "I would take off a star for {v}",
    ),
    "delivery": (
        "How long did the delivery of the {name} take?",
        "delivery took {v}|the {kind} was at my door after {v}|I waited {v} for the parcel|"
        "it arrived {v} after I ordered it|the {name} spent {v} in the post|"
        "shipping was a matter of {v}",
    ),
    "noise": (
        "How loud is the {name}?",
        "I measured {v} next to it|it makes a noise of {v}|the {name} is as loud as {v}|"
        "at full power the {kind} reaches {v}|the sound level is {v} in my kitchen|"
        "my meter shows {v} when it is running",
    ),
    "capacity": (
        "How much does the {name} hold?",
        "it holds {v}|there is room for {v} in it|the {name} takes {v}|"
        "you can fill {v} into the {kind}|its capacity of {v} is enough for us|"
        "{v} fit in without trouble",
    ),
    "setup": (
        "How long does it take to set up the {name}?",
        "setting it up took me {v}|it was ready for use in {v}|"
        "putting the {name} together is a job of {v}|"
        "{v} after opening the box the {kind} stood there complete|"
        "assembly needs {v} and no tools|I had the {kind} up in {v}",
    ),
    "material": (
        "What is the {name} made of?",
        "it is made of {v}|the {kind} is all {v}|the {name} is built from {v}|"
        "what you touch is {v}|they used {v} for the body|the material is {v} and feels solid",
    ),
}

_PRODUCTS: dict[tuple[str, str], dict[str, tuple[str, str]]] = {
    # aspect -> what most say, what some say; ways to put it are parted by "|"
    ("Arvo 3", "phone"): {
        "battery": ("two days|2 days|a good two days", "one day|barely a day"),
        "price": ("310 euros|€310", "350 euros|€350"),
        "weight": ("180 grams|180g", "190 grams|190g"),
        "warranty": ("three years|3 years", "two years|2 years"),
        "fault": ("the dim screen|a dim screen", "the slow camera|a slow camera"),
        "delivery": ("four days|4 days", "a week|one week"),
    },
    ("Arvo Mini", "phone"): {
        "battery": ("eleven hours|11 hours", "eight hours|8 hours"),
        "price": ("190 euros|€190", "220 euros|€220"),
        "weight": ("130 grams|130g", "140 grams|140g"),
        "warranty": ("two years|2 years", "one year|a year"),
        "fault": ("the loose charging port|a loose charging port", "the tiny speaker"),
        "material": ("recycled plastic|plastic that was recycled", "aluminium"),
    },
    ("Kessla 17", "kettle"): {
        "noise": ("72 decibels|72dB", "78 decibels|78dB"),
        "price": ("45 euros|€45", "60 euros|€60"),
        "capacity": ("1.7 litres|1.7l", "1.5 litres|1.5l"),
        "material": ("brushed steel|steel with a brushed finish", "painted plastic"),
        "fault": ("the lid that drips|a lid that drips", "the short cable|a short cable"),
        "delivery": ("two days|2 days", "five days|5 days"),
    },
    ("Norrpack 28", "backpack"): {
        "capacity": ("28 litres|28l", "25 litres|25l"),
        "price": ("95 euros|€95", "110 euros|€110"),
        "weight": ("900 grams|900g", "1.1 kilos|1.1kg"),
        "warranty": ("ten years|10 years", "five years|5 years"),
        "fault": ("the zip that sticks|a zip that sticks", "the thin hip belt"),
        "material": ("waxed canvas|canvas with wax", "nylon"),
    },
    ("Ohrwell S", "headset"): {
        "battery": ("30 hours|thirty hours", "20 hours|twenty hours"),
        "price": ("140 euros|€140", "160 euros|€160"),
        "weight": ("250 grams|250g", "270 grams|270g"),
        "warranty": ("two years|2 years", "one year|a year"),
        "fault": ("the creaking hinge|a creaking hinge", "the thin case"),
        "delivery": ("three days|3 days", "six days|6 days"),
    },
    ("Brimm Duo", "vacuum cleaner"): {
        "battery": ("40 minutes|forty minutes", "25 minutes|twenty-five minutes"),
        "noise": ("68 decibels|68dB", "75 decibels|75dB"),
        "price": ("260 euros|€260", "290 euros|€290"),
        "weight": ("2.4 kilos|2.4kg", "2.8 kilos|2.8kg"),
        "capacity": ("half a litre of dust|0.5 litres of dust", "0.4 litres of dust"),
        "fault": ("the brush that tangles|a brush that tangles", "the wobbly handle"),
    },
    ("Fjell Two", "tent"): {
        "setup": ("ten minutes|10 minutes", "25 minutes|twenty-five minutes"),
        "price": ("330 euros|€330", "380 euros|€380"),
        "weight": ("1.9 kilos|1.9kg", "2.3 kilos|2.3kg"),
        "capacity": ("two people and their bags|2 people and their bags", "one person"),
        "fault": ("the flimsy pegs|flimsy pegs", "the narrow door"),
        "material": ("ripstop polyester|polyester of the ripstop kind", "cotton"),
    },
    ("Sedia Pro", "office chair"): {
        "setup": ("half an hour|30 minutes", "an hour|one hour"),
        "price": ("420 euros|€420", "480 euros|€480"),
        "weight": ("19 kilos|19kg", "22 kilos|22kg"),
        "warranty": ("five years|5 years", "three years|3 years"),
        "fault": ("the squeaking armrest|a squeaking armrest", "the hard seat"),
        "delivery": ("two weeks|2 weeks", "a month|four weeks"),
    },
    ("Tempo Ray", "watch"): {
        "battery": ("nine days|9 days", "six days|6 days"),
        "price": ("175 euros|€175", "200 euros|€200"),
        "weight": ("38 grams|38g", "45 grams|45g"),
        "warranty": ("two years|2 years", "one year|a year"),
        "fault": ("the stiff strap|a stiff strap", "the dull glass"),
        "material": ("titanium|real titanium", "steel"),
    },
    ("Cafira 10", "coffee maker"): {
        "noise": ("60 decibels|60dB", "66 decibels|66dB"),
        "price": ("120 euros|€120", "135 euros|€135"),
        "capacity": ("ten cups|10 cups", "eight cups|8 cups"),
        "setup": ("five minutes|5 minutes", "a quarter of an hour|15 minutes"),
        "warranty": ("three years|3 years", "two years|2 years"),
        "fault": ("the jug that splashes|a jug that splashes", "the bright light"),
    },
}

_OPENINGS = (
    *([""] * 8), "honestly, ", "in my case ", "for the record, ", "after a month I can say that ",
    "as others wrote, ", "to be fair, ", "with us ", "so far ",
)  # fmt: skip
_TAILS = (
    *([""] * 7), ", which is fine by me", ", more or less", ", as advertised",
    ", no more and no less", ", and I checked twice", ", like my old one", ", if you ask me",
)  # fmt: skip
_CHATTER = (
    "My sister has the {name} as well and we often talk about it.",
    "I bought the {name} in spring after reading far too many tests.",
    "This was a present from my colleagues.",
    "I would buy the {name} again.",
    "The box was dented, but nothing inside was damaged.",
    "Our cat likes to sleep next to it.",
    "I had another {kind} for six winters and did not want to change.",
    "Not perfect, yet I am happy with this {kind}.",
    "The manual is short and badly translated.",
    "For the {name} I give four stars out of five.",
    "Somebody at work recommended the {name} to me.",
)


def make_reviews(seed: int = 0) -> Reviews:
    """Write all reviews, and the questions about them."""
    chance = random.Random(seed)
    texts: dict[str, str] = {}
    stated: dict[tuple[str, str], list[Located]] = {}
    for (name, kind), aspects in _PRODUCTS.items():
        for number in range(REVIEWS):
            doc = f"{name.lower().replace(' ', '-')}-{number:03}.txt"
            texts[doc] = ""
            for aspect, sentence in _written(name, kind, aspects, chance):
                start = len(texts[doc]) + bool(texts[doc])
                texts[doc] += " " * bool(texts[doc]) + sentence
                if aspect:
                    at = Located(doc, start, start + len(sentence))
                    stated.setdefault((name, aspect), []).append(at)
    asked = random.Random(seed).sample(list(stated), QUESTIONS)
    return Reviews(texts, [_question(name, aspect, stated[name, aspect]) for name, aspect in asked])


def _question(name: str, aspect: str, references: list[Located]) -> Question:
    of = next(aspects for (each, _), aspects in _PRODUCTS.items() if each == name)
    answers = tuple(of[aspect][0].split("|"))
    text = _ASPECTS[aspect][0].format(name=name)
    return Question(f"reviews-{name}-{aspect}", text, tuple(references), "reviews", answers)


def _written(
    name: str, kind: str, aspects: dict[str, tuple[str, str]], chance: random.Random
) -> list[tuple[str, str]]:
    """The sentences of a review, each with the aspect that it gives most people's value of."""
    while True:
        made: list[tuple[str, str]] = []
        for aspect in chance.sample(list(aspects), chance.randint(3, 5)):
            dissents = chance.random() < _DISSENT
            value = chance.choice(aspects[aspect][dissents].split("|"))
            said = chance.choice(_ASPECTS[aspect][1].split("|")).format(
                name=name, kind=kind, v=value
            )
            line = chance.choice(_OPENINGS) + said + chance.choice(_TAILS) + "."
            made.append(("" if dissents else aspect, line[0].upper() + line[1:]))
        for line in chance.sample(_CHATTER, chance.randint(0, 2)):
            made.insert(chance.randint(0, len(made)), ("", line.format(name=name, kind=kind)))
        words = sum(len(sentence.split()) for _, sentence in made)
        if _SENTENCES[0] <= len(made) <= _SENTENCES[1] and _WORDS[0] <= words <= _WORDS[1]:
            return made
