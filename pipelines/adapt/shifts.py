"""Minimal pairs: a sentence said otherwise, and one that looks alike and means another thing.

The kinds of shift are those of NMIXX (arXiv 2507.09601, prompts of its published pipeline):
polarity, intensity, plan or realised, certainty (fact or opinion), viewpoint (micro or macro).
There a language model writes them, and must leave figures alone; here words are exchanged by rules,
in the text's own case. *figure* and *name*, which exchange a figure or a name for another of the
same corpus, are ours. So are the paraphrases: near-synonyms, abbreviations that the corpus itself
spells out, bracketed asides left out, another layout.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import NamedTuple

from pipelines.adapt.passages import Passage

__all__ = ["SHIFTS", "MinimalPair", "PairWriter"]

Shift = Callable[[str, Random], str | None]
"""A sentence in, a shifted one out, or None where the rule does not fit."""

_OPPOSED = """
increase|decrease increases|decreases increased|decreased increasing|decreasing rise|fall
rises|falls rose|fell rising|falling grew|shrank growth|decline gain|loss gains|losses profit|loss
higher|lower highest|lowest more|less above|below up|down improved|worsened
improvement|deterioration strong|weak stronger|weaker positive|negative effective|ineffective
sufficient|insufficient significant|insignificant allowed|denied allow|deny enable|disable
enabled|disabled accept|reject accepted|rejected success|failure successful|unsuccessful
successfully|unsuccessfully present|absent presence|absence before|after early|late earlier|later
upregulated|downregulated activates|inhibits activation|inhibition activated|inhibited
induced|suppressed susceptible|resistant malicious|benign trusted|untrusted encrypted|decrypted
encrypt|decrypt upload|download uploads|downloads remote|local known|unknown acquired|sold
buy|sell bought|sold favorable|unfavorable favourable|unfavourable internal|external
maximum|minimum with|without
"""
_INTENSE = """
slightly|sharply modest|substantial modestly|substantially small|large minor|major few|many some|all
often|rarely usually|seldom partly|entirely partially|fully mild|severe weakly|strongly
gradually|abruptly limited|extensive low|high sometimes|always
"""
_REALISED = """
will|did could|does expects|confirmed expect|confirmed plans|completed plan|completed
intends|managed intend|managed proposed|adopted would|did potential|actual expected|actual
planned|completed attempts|manages attempted|managed try|manage
"""
_VIEWPOINT = """
company|industry firm|sector patient|population patients|population cell|organ cells|organs
host|network user|organisation machine|network system|internet individual|society
subsidiary|group product|market sample|campaign
"""
_SYNONYMS = """
increase=rise increased=rose decrease=drop decreased=dropped approximately=about about=roughly
however=but therefore=thus purchase=buy purchased=bought obtain=get obtained=got use=employ
used=employed uses=employs shows=indicates showed=indicated show=indicate demonstrate=show
demonstrated=showed begin=start began=started help=assist large=big significant=considerable
also=additionally although=though primarily=mainly mainly=chiefly such=like prior=before
subsequent=later sufficient=enough require=need requires=needs required=needed company=firm
patients=people individuals=persons disease=illness infection=infections study=research
malware=malicious-software attackers=adversaries attacker=adversary victim=target
victims=targets execute=run executes=runs executed=ran create=make creates=makes created=made
revenue=sales fiscal=financial annual=yearly
"""
_OPINIONS = ("We believe that", "It is possible that", "Some argue that", "It is doubtful whether")
_ABBREVIATION = re.compile(r"\b((?:[\w-]+ ){1,5}[\w-]+) \(([A-Z][A-Za-z-]{1,7})s?\)")
_ASIDE = re.compile(r" ?\([^()]{1,80}\)")
_FIGURE = re.compile(r"(?<![\w.,])\d[\d,]*(?:\.\d+)?(?![\w.,]*\w)")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][A-Za-z0-9]*[a-z0-9A-Z](?: [A-Z][A-Za-z0-9]+)*")
_WORD = re.compile(r"[A-Za-z][A-Za-z-]*")
_COMMON = 200  # names and figures of the corpus to exchange with


class MinimalPair(NamedTuple):
    """A sentence, the same said otherwise, and one of another meaning."""

    anchor: str
    same: str
    other: str
    shift: str


def _both_ways(table: str) -> dict[str, str]:
    """Of pairs `one|other`, each to the other; the first pair a word is in counts."""
    found: dict[str, str] = {}
    for pair in table.split():
        one, other = pair.split("|")
        found.setdefault(one, other)
        found.setdefault(other, one)
    return found


def _exchanged(table: Mapping[str, str]) -> Shift:
    """Exchanges one word of a sentence, drawn among those the table knows."""

    def exchange(sentence: str, chance: Random) -> str | None:
        places = [each for each in _WORD.finditer(sentence) if each.group().lower() in table]
        if not places:
            return None
        place = chance.choice(places)
        word = _cased(table[place.group().lower()], place.group())
        return sentence[: place.start()] + word + sentence[place.end() :]

    return exchange


def _opinion(sentence: str, chance: Random) -> str | None:
    first = sentence[:1]
    start = first.lower() + sentence[1:] if sentence[1:2].islower() else sentence
    return f"{chance.choice(_OPINIONS)} {start}" if first.isalpha() else None


SHIFTS: dict[str, Shift] = {
    "polarity": _exchanged(_both_ways(_OPPOSED)),
    "intensity": _exchanged(_both_ways(_INTENSE)),
    "realised": _exchanged(_both_ways(_REALISED)),
    "viewpoint": _exchanged(_both_ways(_VIEWPOINT)),
    "certainty": _opinion,
}
"""Kinds of shift, and the rule of each."""

_SAME = _exchanged(dict(pair.split("=") for pair in _SYNONYMS.split()))


class PairWriter:
    """Writes minimal pairs about the sentences of one corpus.

    Args:
        passages: of the corpus: its abbreviations, names and figures are theirs.
    """

    def __init__(self, passages: Sequence[Passage]) -> None:
        text = "\n".join(each.text for each in passages)
        self._long = _abbreviations(text)
        names, figures = (
            [word for word, _ in Counter(kind.findall(text)).most_common(_COMMON)]
            for kind in (_NAME, _FIGURE)
        )
        self._shifts = SHIFTS | {
            "figure": _swapping(_FIGURE, figures),
            "name": _swapping(_NAME, names),
        }

    def write(self, sentence: str, chance: Random) -> MinimalPair | None:
        """A pair for this sentence; None where no rule fits it."""
        same = self._said_otherwise(sentence, chance)
        if same is None:
            return None
        for kind in chance.sample([*self._shifts], len(self._shifts)):
            other = self._shifts[kind](sentence, chance)
            if other is not None and other != sentence:
                return MinimalPair(sentence, same, other, kind)
        return None

    def _said_otherwise(self, sentence: str, chance: Random) -> str | None:
        """The sentence after every change that fits, if any does, each made or not by chance."""
        changed = sentence
        for change in (self._spelled, self._shortened, _SAME, _without_asides, _in_a_list):
            if chance.random() < 0.7:
                changed = change(changed, chance) or changed
        return changed if changed != sentence else None

    def _spelled(self, sentence: str, chance: Random) -> str | None:
        """An abbreviation replaced by what it stands for."""
        del chance
        for short, long in self._long.items():
            found = re.search(rf"\b{re.escape(short)}\b", sentence)
            if found and long not in sentence.lower():
                return sentence[: found.start()] + long + sentence[found.end() :]
        return None

    def _shortened(self, sentence: str, chance: Random) -> str | None:
        """A term replaced by its abbreviation."""
        del chance
        lower = sentence.lower()
        for short, long in self._long.items():
            at = lower.find(long)
            if at >= 0 and short not in sentence:
                return sentence[:at] + short + sentence[at + len(long) :]
        return None


def _abbreviations(text: str) -> dict[str, str]:
    """Abbreviation to its long form in lower case, of `long form (LF)`.

    Only where the initials of the words before agree. Source: the idea of Schwartz and Hearst
    (PSB 2003), with initials alone.
    """
    found: dict[str, str] = {}
    for words, short in _ABBREVIATION.findall(text):
        letters = [letter.lower() for letter in short if letter.isalpha()]
        last = words.lower().split()[-len(letters) :]
        if len(last) > 1 and [word[0] for word in last] == letters:
            found.setdefault(short, " ".join(last))
    return found


def _without_asides(sentence: str, chance: Random) -> str | None:
    del chance
    bare = _ASIDE.sub("", sentence)
    return bare if len(bare) > len(sentence) / 2 else None


def _in_a_list(sentence: str, chance: Random) -> str | None:
    return f"{chance.choice('-*•')} {sentence}" if chance.random() < 0.3 else None


def _swapping(kind: re.Pattern[str], others: Sequence[str]) -> Shift:
    """Exchanges one name or figure of a sentence for another of the corpus."""

    def swap(sentence: str, chance: Random) -> str | None:
        places = list(kind.finditer(sentence))
        if not places or not others:
            return None
        place = chance.choice(places)
        return sentence[: place.start()] + chance.choice(others) + sentence[place.end() :]

    return swap


def _cased(word: str, like: str) -> str:
    """A word in the case of another."""
    if like.isupper() and len(like) > 1:
        return word.upper()
    return word.capitalize() if like[:1].isupper() else word
