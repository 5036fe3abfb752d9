"""Protection: what pruning must never drop, whatever its salience.

Peers that prune break figures, identifiers and negations. Each class below is a pattern over the
source text; a unit that touches a match is kept. A domain profile names the classes it needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from rag.errors import ConfigError
from rag.spans import Span

__all__ = ["CLASSES", "PROFILES", "protected_spans"]

_MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|"
    r"Sep(?:t(?:ember)?)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_UNIT = (
    r"(?:%|‰|°[CF]?|percent(?:age)?(?:\s+points?)?|basis\s+points|bps|pp|"
    r"hundred|thousand|million|billion|trillion|bn|mn|k|[kmb](?=\b)|"
    r"dollars?|euros?|pounds?|yen|cents?|USD|EUR|GBP|JPY|CHF|"
    r"[kmµμn]?(?:g|l|L|m|mol|M|W|Wh|V|A|Hz|B|bit|Pa|J|s)(?:/[a-zA-Zµμ]+\d?)*|"
    r"cm|mm|km|mcg|IU|bytes?|"
    r"seconds?|minutes?|hours?|days?|weeks?|months?|quarters?|years?|times|fold|x)"
)

_PATTERNS: Mapping[str, re.Pattern[str]] = {
    "number": re.compile(
        rf"(?:(?:USD|EUR|GBP|JPY|CHF|US)\s?)?[$€£¥]?\s?(?<![\w.])[-+−±~≈<>≤≥]?\(?(?:\.(?=\d))?\d[\d,.'/:]*\d?\)?"  # noqa: RUF001
        rf"(?:[-–]?\s?{_UNIT}(?![A-Za-z]))?",  # noqa: RUF001
    ),
    "date": re.compile(
        rf"\b\d{{4}}-\d{{2}}-\d{{2}}(?:T[\d:.]+Z?)?\b|\b\d{{1,2}}[./]\d{{1,2}}[./]\d{{2,4}}\b|"
        rf"\b(?:\d{{1,2}}\s+)?{_MONTH}\s+(?:\d{{1,2}}(?:,\s*\d{{4}})?|\d{{4}})\b|"
        r"\b(?:FY|CY|[QH][1-4])\s?'?\d{2,4}\b|\b[QH][1-4](?:\s+(?:FY\s?)?\d{4})?\b|"
        r"\b(?:19|20)\d{2}s?\b"
    ),
    "identifier": re.compile(
        r"https?://\S+|\bhxxps?(?:://|\[:\]//)\S+|\b[\w.+-]{1,64}(?:@|\[@\])[\w-]{1,63}(?:(?:\.|\[\.\])[\w-]{1,63}){1,8}|"
        r"\bCVE-\d{4}-\d{4,}\b|\bCWE-\d+\b|\bT[AS]?\d{4}(?:\.\d{3})?\b|\bMS\d{2}-\d{3}\b|"
        r"\b[0-9a-fA-F]{32,128}\b|"
        r"\b\d{1,3}(?:(?:\.|\[\.\])\d{1,3}){3}(?:[:/]\d+)?\b|\b(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F:]{1,39}|"
        r"\b[\w-]{1,63}(?:(?:\[\.\]|\.)[\w-]{1,63}){0,8}\[\.\][A-Za-z]{2,24}\b|"
        r"\b[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}\.(?:com|net|org|io|gov|edu|info|biz|ru|cn|exe|dll|sh|py|js|ps1|bat|"
        r"zip|docx?|xlsx?|pdf|example)\b|"
        r"(?:[A-Za-z]:)?(?:[\\/][\w.$%{}~-]{1,255}){2,64}|\bHK(?:LM|CU|CR)\\\S+|"
        r"\b10\.\d{4,}/\S+|\b(?:PMID|PMC|NCT|ISIN|CUSIP|DOI|RFC|ISO|IEC|ASC|IFRS|GAAP|ASU)"
        r"[:\s-]?[\d.-]*\d\b"
    ),
    "section": re.compile(
        r"\b(?:Items?|Sections?|Notes?|Parts?|Exhibits?|Articles?|Appendix|Table|Figure|Fig\.|Annex|"
        r"Chapter|Rule|Form|Schedule|Step)\s+(?:\d+[A-Za-z]?(?:[.-]\d+)*(?:\([a-z0-9]+\))*|"
        r"[IVX]+\b|[A-Z]\b)|§+\s?\d[\d.]*"
    ),
    "ticker": re.compile(
        r"\$[A-Z]{1,5}\b|\b(?:NYSE|NASDAQ|Nasdaq|AMEX|LSE|TSX|HKEX|ASX)\s*:\s*[A-Z.]{1,6}\b"
    ),
    "gene": re.compile(
        r"\b(?=\w{0,24}[A-Z])(?=\w{0,24}\d)[A-Za-z]{1,24}[\w-]{0,24}\d[\w-]{0,24}\b|\b[A-Z]{2,12}-(?:[A-Za-z]{1,24}|\d{1,12}\w{0,24})\b|"
        r"\b[a-zα-ω]{1,2}\d{1,3}[A-Z]?\b|\b(?:rs|chr)\d+\b|\b[cp]\.[\w>*+-]+"  # noqa: RUF001
    ),
    "drug": re.compile(
        r"\b\w{3,}(?:mab|nib|ciclib|parib|statin|prazole|sartan|pril|olol|dipine|gliptin|"
        r"gliflozin|glutide|cillin|cycline|mycin|floxacin|conazole|vir|setron|triptan|oxetine|"
        r"azepam|barbital|caine|dronate|lukast|parin|platin|rubicin|taxel|thiazide|stat)\b"
    ),
    "threat": re.compile(
        # names with a capital and a figure (APT29, S0154, KB5005033, SMBv1), or with two humps
        r"\b(?=[\w-]{0,40}[A-Z])(?=[\w-]{0,40}\d)[A-Za-z][\w-]{0,60}\b|"
        r"\b[A-Z][a-z]{1,24}[A-Z]\w{0,40}\b|"
        r"\bHKEY_[A-Z_]{4,40}(?:\\\S{1,255})?|\bHK(?:U|CC)\\\S{1,255}|%[A-Za-z]\w{0,31}%(?:\\\S{1,255})?|"
        r"\b[\w-]{1,63}(?:(?:\[?\.\]?|\(\.\)|[\[(]dot[\])])[\w-]{1,63}){0,8}"
        r"(?:\(\.\)|[\[(]dot[\])])[\w-]{1,63}\b|\b[\w.+-]{1,64}[\[(]at[\])][\w.-]{1,63}|"
        r"\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b0x[0-9a-fA-F]{1,64}\b|"
        r"\bbc1[a-z0-9]{20,60}\b|\bv\d{1,6}(?:\.\d{1,6}){0,4}[a-z]?\b|\bTLP:[A-Z]{3,6}\b|"
        r"\b[\w-]{1,63}(?:\.[\w-]{1,63}){0,8}\.(?:vb[es]|js[ep]|lnk|hta|msi|jar|iso|img|sys|scr|cpl|"
        r"php|aspx?|elf|bin|tmp|dat|cmd|rar|7z|gz|apk|dmg|so|xyz|top|onion|cc|pw|su|site|online|club|"
        r"icu|tk|uk|de|fr|nl|ir|kp)\b|"
        r"(?<=\s)-{1,2}[A-Za-z][\w-]{1,40}"
    ),
    "negation": re.compile(
        r"\b(?:not|no|never|none|nobody|nothing|nowhere|neither|nor|cannot|without|lacks?|lacked|"
        r"lacking|absence|absent|fails?|failed|unable|denie[sd]|except|excluding|hardly|scarcely|"
        r"barely|instead|rather)\b|\b\w+n['’]t\b",  # noqa: RUF001
        re.IGNORECASE,
    ),
    "quantifier": re.compile(
        r"\b(?:all|any|each|every|both|either|some|several|many|most|few(?:er)?|only|least|more|less|"
        r"than|at\s+(?:least|most)|up\s+to|under|over|above|below|between|about|approximately|"
        r"nearly|almost|around|half|third|quarter|majority|minority|twice|double[ds]?|triple[ds]?|"
        r"one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|dozens?|"
        r"first|second|largest|smallest|highest|lowest|maximum|minimum|total)\b",
        re.IGNORECASE,
    ),
    "condition": re.compile(
        r"\b(?:if|unless|until|provided|whether|when(?:ever)?|while|before|after|subject\s+to|"
        r"otherwise|in\s+case|as\s+long\s+as|only\s+if|must|shall|may|should|could|would|might|"
        r"required|optional|because|although|however|but|despite)\b",
        re.IGNORECASE,
    ),
    "quote": re.compile(r"\"[^\"\n]{1,120}\"|“[^”\n]{1,120}”|`[^`\n]{1,120}`|«[^»\n]{1,120}»"),
}
"""Class to the pattern of what it holds; `table_header` is told by its neighbours, below."""

CLASSES = (*_PATTERNS, "table_header")

_COMMON = (
    "number",
    "date",
    "identifier",
    "section",
    "negation",
    "quantifier",
    "condition",
    "quote",
    "table_header",
)

PROFILES: Mapping[str, tuple[str, ...]] = {
    "general": _COMMON,
    "finance": (*_COMMON, "ticker"),
    "biomedical": (*_COMMON, "gene", "drug"),
    "cyber": (*_COMMON, "threat"),
    "none": (),
}
"""Domain to the classes that are protected in it."""


def protected_spans(text: str, classes: Iterable[str]) -> list[Span]:
    """Where the text holds something of these classes; spans may overlap.

    Raises:
        ConfigError: there is no such class.
    """
    found: list[Span] = []
    for name in classes:
        if name == "table_header":
            found += _table_headers(text)
        elif name in _PATTERNS:
            matches = _PATTERNS[name].finditer(text)
            found += [Span(*match.span()) for match in matches if match[0].strip()]
        else:
            raise ConfigError(f"no protected class {name}", hint=f"one of {', '.join(CLASSES)}")
    return found


def _table_headers(text: str) -> Iterator[Span]:
    """The first line of each run of lines with bars, where it is a run."""
    lines = [Span(*match.span()) for match in re.finditer(r"[^\n]+", text)]
    barred = ["|" in line.text_in(text) for line in lines]
    for at, line in enumerate(lines):
        follows = at and barred[at - 1] and lines[at - 1].end + 1 == line.start
        leads = at + 1 < len(lines) and barred[at + 1] and lines[at + 1].start == line.end + 1
        if barred[at] and leads and not follows:
            yield line
