"""Minimal pairs by rules: a sentence, the same said otherwise, and something else said alike.

Nobody labelled these. A *paraphrase* changes at least two places of a sentence by rules that leave
its meaning: a word for its synonym, a leading phrase moved to the end. A *shift* changes one place
and with it the meaning; its kind is which. An embedder that reads meaning puts the paraphrase
nearer; one that counts words puts the shift nearer, since it changed fewer of them.

Reversals are a kind of shift in NMIXX (arXiv 2507.09601); numbers, years and entities, which it
leaves alone, are ours. Rules err: some sentences come out clumsy, and in a few the changed number
is that of a paragraph. A model that is trained on pairs by such rules is not to be judged by these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

from rag.ids import digest
from rag.sentences import sentence_spans

__all__ = ["KINDS", "Triplet", "triplets"]


class Triplet(NamedTuple):
    """A sentence, a paraphrase of it, and a shift of a kind."""

    kind: str
    sentence: str
    paraphrase: str
    shift: str


Shift = Callable[[str, Sequence[str]], str]
"""The sentence changed, given the part's entities; unchanged where the rule does not apply."""

_OPPOSITES = """
increase decrease | increases decreases | increased decreased | increasing decreasing
rise fall | rises falls | rose fell | rising falling | higher lower | highest lowest
more less | most least | grew shrank | growth decline | gain loss | gains losses
above below | before after | improved worsened | improvement deterioration | positive negative
favorable unfavorable | strong weak | stronger weaker | maximum minimum | largest smallest
larger smaller | early late | earlier later | faster slower | upper lower | inside outside
include exclude | includes excludes | included excluded | accept reject | accepted rejected
allow prevent | allows prevents | allowed prevented | enable disable | enables disables
enabled disabled | download upload | downloads uploads | downloaded uploaded
encrypt decrypt | encrypted decrypted | remove add | removed added | open closed
internal external | domestic foreign | buy sell | bought sold | purchase sale | asset liability
assets liabilities | severe mild | acute chronic | male female | men women | win lose | won lost
first last | old new | north south | northern southern | east west | eastern western
"""
_SAME = """
approximately=about | in order to=to | due to=because of | prior to=before | subsequent to=after
such as=like | additional=further | primarily=mainly | significant=considerable
significantly=considerably | several=a number of | many=numerous | numerous=many | used=employed
uses=employs | shows=demonstrates | showed=demonstrated | obtained=acquired | provides=offers
provided=offered | company=firm | companies=firms | employees=staff | therefore=thus
thus=therefore | although=though | while=whereas | via=through | began=started | begin=start
attempted=tried | malicious=harmful | attackers=adversaries | results=outcomes
associated with=linked to | caused=brought about | large=big | however=yet | contains=holds
contained=held | including=among them | currently=at present | during=in the course of
often=frequently | frequently=often | likely=probably | believe=think | ability=capacity
determine=establish | determined=established | assist=help | conducted=carried out
performed=carried out | located=situated | various=different
as well as=and also | since=ever since | became=turned into | remained=stayed | created=made
large number of=great many | children=kids | important=essential | main=chief | entire=whole
total=overall | quickly=rapidly | analysis=examination | method=technique | methods=techniques
individuals=persons | throughout=all through | until=up to | nearly=almost | almost=nearly
upon=on | whether=if | percent=per cent | expected=anticipated
identified=recognised | observed=noted | found=discovered | revealed=disclosed | called=named
also=likewise | study=investigation | requires=demands | required=demanded
"""

_LEADING = re.compile(
    r"((?:In|During|For|On|At|Since|After|Under|Through|As of) [^,.;:()]{2,60}), (?!\d)"
)
_AUXILIARIES = "is are was were will can could should may might has have had does did would must"
_AUXILIARY = re.compile(rf"\b({'|'.join(_AUXILIARIES.split())})\b(?! not\b)")
_NEGATION = re.compile(r"\b(?:not|never) ")
_YEAR = re.compile(r"\b(?:19|20)\d\d\b")
_DASHES = "\u2013-"
_NUMBER = re.compile(
    rf"(?<![\w.,\[({_DASHES}])(?!(?:19|20)\d\d\b)\d[\d,]*(?:\.\d+)?(?![\w\]){_DASHES}])"
)
_MONTHS = "January February March April May June July August September October November December"
_MONTH = rf"(?:{'|'.join([*_MONTHS.split(), 'Sept'])})\b"
_AFTER_MONTH = re.compile(rf"{_MONTH}[.]? $")
_ENTITY = re.compile(rf"(?<=[a-z,] )(?!{_MONTH})[A-Z][a-z]+(?: [A-Z][a-z]+)*")
_WORDS = range(8, 41)


def _pairs() -> dict[str, str]:
    """Each word of an opposition to the other."""
    found: dict[str, str] = {}
    for line in re.split(r"[|\n]", _OPPOSITES.strip()):
        one, other = line.split()
        found.setdefault(one, other)
        found.setdefault(other, one)
    return found


def _synonyms() -> dict[str, str]:
    return dict(line.strip().split("=") for line in re.split(r"[|\n]", _SAME.strip()))


def _any_of(words: Mapping[str, str]) -> re.Pattern[str]:
    longest = sorted(words, key=len, reverse=True)
    return re.compile(rf"\b(?:{'|'.join(map(re.escape, longest))})\b", re.IGNORECASE)


_OPPOSITE, _SYNONYM = _pairs(), _synonyms()
_FIND_OPPOSITE, _FIND_SYNONYM = _any_of(_OPPOSITE), _any_of(_SYNONYM)


def paraphrase(sentence: str) -> str:
    """The same otherwise; empty where fewer than two places can be changed."""
    moved = _LEADING.match(sentence)
    changed = sentence
    if moved:
        phrase = moved[1][0].lower() + moved[1][1:]
        rest = sentence[moved.end() :].removesuffix(".")
        changed = f"{rest[0].upper()}{rest[1:]} {phrase}."
    changed, places = _FIND_SYNONYM.subn(lambda found: _swap(found[0], _SYNONYM), changed)
    return changed if places + bool(moved) >= 2 else ""


def _swap(word: str, words: Mapping[str, str]) -> str:
    """What stands for a word, with a capital where it had one."""
    other = words[word.lower()]
    return other[0].upper() + other[1:] if word[0].isupper() else other


def _direction(sentence: str, _: Sequence[str]) -> str:
    return _FIND_OPPOSITE.sub(lambda found: _swap(found[0], _OPPOSITE), sentence, count=1)


def _polarity(sentence: str, _: Sequence[str]) -> str:
    without, places = _NEGATION.subn("", sentence, count=1)
    return without if places else _AUXILIARY.sub(r"\1 not", sentence, count=1)


def _number(sentence: str, _: Sequence[str]) -> str:
    """Another leading digit, where the number is no day of a date."""
    for found in _NUMBER.finditer(sentence):
        if not _AFTER_MONTH.search(sentence[: found.start()]):
            leading = str(int(found[0][0]) % 9 + 1)
            return sentence[: found.start()] + leading + sentence[found.start() + 1 :]
    return sentence


def _year(sentence: str, _: Sequence[str]) -> str:
    return _YEAR.sub(lambda found: str(int(found[0]) - 3), sentence, count=1)


def _entity(sentence: str, entities: Sequence[str]) -> str:
    if not (found := _ENTITY.search(sentence)) or not entities:
        return sentence
    chosen = entities[int(digest(sentence)[:8], 16) % len(entities)]
    return sentence[: found.start()] + chosen + sentence[found.end() :]


KINDS: Mapping[str, Shift] = {
    "direction": _direction,
    "polarity": _polarity,
    "number": _number,
    "year": _year,
    "entity": _entity,
}
"""Kinds of shift, and the rule of each."""


def triplets(texts: Sequence[str], most: int) -> list[Triplet]:
    """At most so many triplets of each kind, from sentences spread over all texts by digest."""
    sentences = sorted(dict.fromkeys(_sentences(texts)), key=digest)
    entities = sorted({found for each in sentences for found in _ENTITY.findall(each)}, key=digest)
    found: dict[str, list[Triplet]] = {kind: [] for kind in KINDS}
    for sentence in sentences:
        if same := paraphrase(sentence):
            for kind, shift in KINDS.items():
                other = shift(sentence, entities)
                if other != sentence and len(found[kind]) < most:
                    found[kind].append(Triplet(kind, sentence, same, other))
    return [each for kind in KINDS for each in found[kind]]


def _sentences(texts: Sequence[str]) -> Iterator[str]:
    """Whole sentences of a usual length."""
    for text in texts:
        for span in sentence_spans(text):
            sentence = " ".join(span.text_in(text).split())
            whole = sentence[:1].isupper() and sentence.endswith(".") and "://" not in sentence
            if whole and len(sentence.split()) in _WORDS:
                yield sentence
