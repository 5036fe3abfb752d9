from __future__ import annotations

from collections.abc import Callable

import pytest
from lxml import etree

from connectors.pubmed.articles import parse_record
from rag.errors import DocumentError
from rag.types import Section

Article = Callable[..., str]
Real = dict[str, etree._Element]


def parse(xml: str):
    return parse_record(etree.fromstring(xml))


def test_a_real_article_with_a_formula(real: Real) -> None:
    parsed = parse_record(real["30108519"])
    assert parsed.title == (
        'A "Blood Relationship" Between the Overlooked Minimum Lactate Equivalent and Maximal '
        "Lactate Steady State in Trained Runners. Back to the Old Days?"
    )
    title, abstract = parsed.text.split("\n\n")
    assert title == parsed.title
    assert abstract.startswith(
        "Thirteen male endurance-trained [VMLSS 15.0 \u00b1 1.1 km\u00b7h-1; maximal oxygen uptake "
        "( VO2max ) 67.6 \u00b1 4.1 ml\u00b7kg-1\u00b7min-1] homogeneous"
    )
    assert parsed.sections == ()
    assert parsed.meta == {
        "pmid": "30108519",
        "doi": "10.3389/fphys.2018.01034",
        "pmcid": "PMC6079548",
        "journal": "Frontiers in physiology",
        "year": 2018,
        "published": "2018-07-31",  # the issue says 2018; the day on the web lies within
        "authors": ["Garcia-Tabar I", "Gorostiaga EM"],
        "keywords": ["Owles' point", "aerobic capacity", "aerobic threshold"],
        "types": ["Journal Article"],
        "language": ["eng"],
        "retracted": False,
    }


def test_a_real_abstract_in_sections(real: Real) -> None:
    parsed = parse_record(real["28775130"])
    labels = ["OBJECTIVES", "METHODS", "RESULTS", "CONCLUSIONS"]
    assert [each.title for each in parsed.sections] == labels
    assert {(each.level, each.kind) for each in parsed.sections} == {(1, "section")}
    texts = [each.span.text_in(parsed.text) for each in parsed.sections]
    assert texts[1] == (
        "METHODS\nBlood was drawn once (TSH >4.5 mIU/L) and compared with normal "
        "(0.4-\u22644.5 mIU/L).\n\n"
    )
    assert texts[2].endswith("(ORQ3=4.15, ptrend <0.01; 10^3 days).\n\n")
    assert texts[3] == "CONCLUSIONS\nExposure over many years may matter."
    # No gap between them, and nothing behind the last.
    assert parsed.text == f"{parsed.title}\n\n" + "".join(texts)
    # Issue of February 2018, on the web in August 2017.
    assert (parsed.meta["year"], parsed.meta["published"]) == (2018, "2018-02")


def test_a_real_title_without_an_abstract(real: Real) -> None:
    parsed = parse_record(real["11748933"])
    assert parsed.text == parsed.title
    assert parsed.meta["mesh"] == [
        "Animals", "Cell Membrane", "Cryopreservation", "Male", "Sperm Motility",
    ]  # fmt: skip
    assert parsed.meta["mesh_major"] == ["Cryopreservation", "Sperm Motility"]
    assert parsed.meta["published"] == "2001-06"


def test_a_real_retraction(real: Real) -> None:
    parsed = parse_record(real["9500320"])
    title = (
        "RETRACTED: Ileal-lymphoid-nodular hyperplasia, non-specific colitis, and pervasive "
        "developmental disorder in children."
    )
    assert parsed.title == title
    assert parsed.text == (
        f"{title}\n\nThis article was retracted: Lancet. 2010 Feb 6;375(9713):445. "
        "doi: 10.1016/S0140-6736(10)60175-4. PMID 20137807"
    )
    assert parsed.meta["retracted"] is True
    assert parsed.meta["concern"] is True


@pytest.mark.parametrize(
    "title", ["Retracted: Of mice.", "RETRACTED ARTICLE: Of mice.", "[Retracted] Of mice."]
)
def test_a_title_that_says_so_itself_says_it_once(article: Article, title: str) -> None:
    behind = _correction("RetractionIn")
    assert parse(article(title=title, behind=behind)).title == "RETRACTED: Of mice."


def test_a_retracted_limb_is_no_retraction(article: Article) -> None:
    parsed = parse(article(title="Retracted eyelids in cats."))
    assert parsed.title == "Retracted eyelids in cats."
    assert parsed.meta["retracted"] is False


def test_a_notice_of_retraction_is_not_retracted_itself(article: Article) -> None:
    kind = "<PublicationTypeList><PublicationType>Retraction of Publication</PublicationType>"
    record = article(
        inside=f"{kind}</PublicationTypeList>", behind=_correction("RetractionOf")
    )  # fmt: skip
    assert parse(record).meta["retracted"] is False
    assert parse(record).text == "A title."


def test_errata_are_facts(article: Article) -> None:
    parsed = parse(article(behind=_correction("ErratumIn")))
    assert parsed.meta["errata"] == ["J. 2020;1:2 PMID 77"]
    assert parsed.text == "A title."


def test_paragraphs_of_one_label_are_one_section(article: Article) -> None:
    record = article(
        abstract='<AbstractText Label="RESULTS">One.</AbstractText>'
        '<AbstractText Label="RESULTS">Two.</AbstractText>'
        "<AbstractText>Registered.</AbstractText>"
        '<AbstractText Label="UNASSIGNED">Loose.</AbstractText>'
        '<AbstractText Label="EMPTY"> </AbstractText>'
    )
    parsed = parse(record)
    assert parsed.text == "A title.\n\nRESULTS\nOne.\n\nTwo.\n\nRegistered.\n\nLoose."
    (section,) = parsed.sections
    assert section.span.text_in(parsed.text) == "RESULTS\nOne.\n\nTwo.\n\n"


def test_an_abstract_in_another_language_only_stands_in(article: Article) -> None:
    other = '<OtherAbstract Language="spa"><AbstractText>Otro.</AbstractText></OtherAbstract>'
    text = "<AbstractText>Own.</AbstractText>"
    assert parse(article(abstract=text, behind=other)).text == "A title.\n\nOwn."
    assert parse(article(behind=other)).text == "A title.\n\nOtro."


def test_a_title_that_is_not_available(article: Article) -> None:
    own = "<VernacularTitle>Ein Titel.</VernacularTitle>"
    assert parse(article(title="[Not Available].", inside=own)).title == "Ein Titel."


def test_a_chapter_of_a_book() -> None:
    parsed = parse(
        "<PubmedBookArticle><BookDocument><PMID>20301295</PMID><ArticleIdList>"
        '<ArticleId IdType="doi">10.1/x</ArticleId></ArticleIdList>'
        "<Book><BookTitle>Genes</BookTitle><PubDate><Year>1993</Year></PubDate>"
        '<AuthorList Type="editors"><Author><LastName>Ed</LastName></Author></AuthorList></Book>'
        "<ArticleTitle>A disease.</ArticleTitle>"
        '<AuthorList Type="authors"><Author><LastName>Ada</LastName><Initials>L</Initials></Author>'
        "</AuthorList><PublicationType>Review</PublicationType>"
        '<Abstract><AbstractText Label="CLINICAL">Rare.</AbstractText></Abstract>'
        "</BookDocument></PubmedBookArticle>"
    )
    assert parsed.text == "A disease.\n\nCLINICAL\nRare."
    assert parsed.meta == {
        "pmid": "20301295", "doi": "10.1/x", "journal": "Genes", "year": 1993, "published": "1993",
        "authors": ["Ada L"], "types": ["Review"], "retracted": False,
    }  # fmt: skip


def test_a_record_that_says_nothing(article: Article) -> None:
    with pytest.raises(DocumentError, match="neither a title nor an abstract"):
        parse(article(title=" "))


def test_an_abstract_alone_is_a_document(article: Article) -> None:
    parsed = parse(article(title="", abstract='<AbstractText Label="AIM">Why.</AbstractText>'))
    assert (parsed.title, parsed.text) == ("", "AIM\nWhy.")
    assert parsed.sections == (Section(parsed.sections[0].span, "AIM"),)
    assert parsed.sections[0].span.start == 0


def _correction(kind: str) -> str:
    return (
        f'<CommentsCorrectionsList><CommentsCorrections RefType="{kind}">'
        "<RefSource>J. 2020;1:2</RefSource><PMID>77</PMID></CommentsCorrections>"
        "</CommentsCorrectionsList>"
    )
