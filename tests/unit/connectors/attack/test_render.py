from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from connectors.attack.graph import Graph
from connectors.attack.render import render
from connectors.parsing.base import Parsed
from rag.errors import DocumentError

Thing = dict[str, Any]
Make = Callable[..., Thing]

ATTACK = {"source_name": "mitre-attack"}
RED = "marking-definition--5e57c739-391a-4eb3-b6be-7d15ca92d5ed"
AMBER_STRICT = "marking-definition--939a9414-2ddd-4d32-a0cd-375ea402b003"


def graph_of(*things: Thing, keep_deprecated: bool = False) -> Graph:
    graph = Graph(keep_deprecated=keep_deprecated)
    graph.add(things, "here.json")
    graph.connect()
    return graph


def page(thing: Thing, *others: Thing, keep_deprecated: bool = False) -> Parsed:
    return render(thing, graph_of(thing, *others, keep_deprecated=keep_deprecated))


def sections(parsed: Parsed) -> dict[str, str]:
    return {each.title: each.span.text_in(parsed.text) for each in parsed.sections if each.title}


def known_as(code: str) -> dict[str, Any]:
    url = f"https://attack.mitre.org/x/{code}"
    return {"external_references": [{**ATTACK, "external_id": code, "url": url}]}


def test_a_technique_of_attack(recorded: list[Thing]) -> None:
    graph = graph_of(*recorded)
    thing = graph.get("attack-pattern--8d7bd4f5-3a89-4453-9c82-2c8894d5655e")
    assert thing is not None
    parsed = render(thing, graph)
    assert parsed.title == "T1552.006 Group Policy Preferences"
    assert parsed.text.startswith(
        "T1552.006 Group Policy Preferences\n\nAdversaries may attempt to find unsecured "
    )
    assert "local accounts. [Microsoft GPP 2016]\n\nThese group" in parsed.text
    assert "files: `dir /s * .xml`\n\nTactics: Credential Access (TA0006)\nPlat" in parsed.text
    found = sections(parsed)
    assert [*found] == [
        "T1552.006 Group Policy Preferences", "Tactics", "Platforms", "Data sources",
        "Permissions required", "Detection", "Sub-technique of", "Detected by", "References",
    ]  # fmt: skip
    assert found["T1552.006 Group Policy Preferences"] == parsed.text
    assert found["Platforms"].strip() == "Platforms: Windows"
    assert found["Sub-technique of"].strip() == (
        "Sub-technique of\n\n- Unsecured Credentials (T1552)"
    )
    assert found["Detected by"].strip() == (
        "Detected by\n\n- File Access: Monitor for attempts to access SYSVOL that involve "
        "searching for XML files."
    )
    assert "- Microsoft GPP Key: Microsoft. (n.d.). 2.2.1.1.4 Pass" in found["References"]
    assert "mitre-attack" not in found["References"]
    assert parsed.meta == {
        "attack_id": "T1552.006", "stix_type": "attack-pattern", "tactics": ["credential-access"],
        "platforms": ["Windows"], "attack_domains": ["enterprise-attack"], "version": "1.0",
        "created": "2020-02-11T18:43:06.253Z", "modified": "2020-06-17T14:25:38.082Z",
    }  # fmt: skip


def test_sections_and_lists_nest_and_begin_with_their_titles(recorded: list[Thing]) -> None:
    graph = graph_of(*recorded)
    for thing in graph.documents():
        parsed = render(thing, graph)
        for each in parsed.sections:
            text = each.span.text_in(parsed.text)
            assert text.startswith(each.title if each.kind == "section" else "- ")
            inside = [one for one in parsed.sections if each.span.touches(one.span)]
            assert all(each.span.covers(one.span) or one.span.covers(each.span) for one in inside)
        assert [*parsed.sections] == sorted(
            parsed.sections, key=lambda one: (one.span.start, one.level)
        )
    assert len([*graph.documents()]) == 8


def test_both_ends_tell_of_a_relationship(sdo: Make, relate: Make) -> None:
    group = sdo("intrusion-set", name="APT29", **known_as("G0016"))
    malware = sdo("malware", name="SUNBURST", **known_as("S0559"))
    uses = relate("uses", group, malware, description="[APT29](https://attack.mitre.org/x) did.")
    assert sections(page(group, malware, uses))["Uses"] == "Uses\n\n- SUNBURST (S0559): APT29 did."
    used = sections(page(malware, group, uses))["Used by"]
    assert used == "Used by\n\n- APT29 (G0016): APT29 did."
    bare = relate("targets", group, sdo("identity", name="Energy", identity_class="class"))
    assert "Targets\n\n- Energy" in page(group, sdo("identity", name="Energy"), bare).text


def test_an_end_that_is_not_there_is_passed_over_unless_something_is_said(
    sdo: Make, relate: Make
) -> None:
    group, missing = sdo("intrusion-set"), sdo("malware", 9)
    told = relate("uses", group, missing, description="It used a loader.")
    assert sections(page(group, told))["Uses"] == "Uses\n\n- It used a loader."
    assert "Uses" not in page(group, relate("uses", group, missing)).text


@pytest.mark.parametrize("gone", ["revoked", "x_mitre_deprecated"])
def test_what_is_gone_is_not_named(sdo: Make, relate: Make, gone: str) -> None:
    group, malware = sdo("intrusion-set"), sdo("malware", name="Old", **{gone: True})
    uses = relate("uses", group, malware, description="Old was used.")
    assert "Old" not in page(group, malware, uses).text
    assert "- Old: Old was used." in page(group, malware, uses, keep_deprecated=True).text
    uses = relate("uses", group, sdo("malware"), description="Now not.", **{gone: True})
    assert "Now" not in page(group, sdo("malware"), uses).text
    kept = page(malware, keep_deprecated=True).meta
    assert kept[gone.removeprefix("x_mitre_")] is True


def test_links_are_in_a_stable_order(sdo: Make, relate: Make) -> None:
    group = sdo("intrusion-set")
    tools = [sdo("tool", n, name=f"T{n}") for n in range(9)]
    uses = [relate("uses", group, tool, n) for n, tool in enumerate(tools)]
    malware = sdo("malware", name="A", **known_as("S9999"))
    more = [relate("uses", group, malware, 50), relate("attributed-to", group, malware, 51),
            relate("pays-for", group, malware, 52), relate("befriends", group, malware, 53),
    ]  # fmt: skip
    forth = page(group, *tools, malware, *uses, *more)
    back = page(group, *reversed(more), *reversed(uses), malware, *reversed(tools))
    assert forth == back
    assert [*sections(forth)][2:] == ["Attributed to", "Uses", "Befriends", "Pays for"]
    assert sections(forth)["Uses"].splitlines()[2:4] == ["- A (S9999)", "- T0"]
    paid = page(malware, group, *more)
    assert "Pays for (the other way round)\n\n- intrusion-set 1" in paid.text


def test_relationships_may_go_in_circles(sdo: Make, relate: Make) -> None:
    one, two = sdo("malware", 1), sdo("malware", 2)
    circle = [relate("variant-of", one, two, 1), relate("variant-of", two, one, 2),
              relate("related-to", one, one, 3)]  # fmt: skip
    parsed = page(one, two, *circle)
    assert sections(parsed)["Variant of"].strip() == "Variant of\n\n- malware 2"
    assert "Related to" not in parsed.text


def test_an_indicator(sdo: Make, relate: Make) -> None:
    pattern = "[url:value = 'http://evil.example/4712/' OR ipv4-addr:value = '198.51.100.7']"
    indicator = sdo("indicator", name="Downloader", pattern=pattern, pattern_type="stix",
                    valid_from="2024-02-03T10:11:12.5Z", confidence=80, indicator_types=["c2"],
                    labels=["malicious-activity"])  # fmt: skip
    malware = sdo("malware", name="Backdoor")
    sighting = sdo("sighting", sighting_of_ref=indicator["id"], count=3, name=None,
                   where_sighted_refs=[sdo("identity", name="Us")["id"]],
                   first_seen="2024-03-01T00:00:00Z", last_seen="2024-03-02T00:00:00Z")  # fmt: skip
    parsed = page(indicator, malware, relate("indicates", indicator, malware), sighting,
                  sdo("identity", name="Us"))  # fmt: skip
    assert parsed.text == (
        "Downloader\n\nType: indicator\nTypes: c2\nValid from: 2024-02-03\n\n"
        f"Pattern\n\n{pattern}\n\nIndicates\n\n- Backdoor\n\n"
        "Sightings\n\n- 3 times, 2024-03-01 to 2024-03-02, by Us"
    )
    assert parsed.meta["ips"] == ["198.51.100.7"]
    assert parsed.meta["domains"] == ["evil.example"]
    assert (parsed.meta["confidence"], parsed.meta["labels"]) == (80, ["malicious-activity"])


def test_observables_and_vulnerabilities_can_be_filtered_by_what_they_are(
    sdo: Make, relate: Make
) -> None:
    malware = sdo("malware")
    address = {"type": "ipv4-addr", "id": "ipv4-addr--1", "value": "198.51.100.9"}
    beacon = relate("beacons-to", malware, address)
    assert page(address, malware, beacon).meta["ips"] == ["198.51.100.9"]
    assert page(address, malware, beacon).title == "198.51.100.9"
    file = {"type": "file", "id": "file--1", "hashes": {"MD5": "0f" * 16, "bad": 7}}
    dropped = page(file, malware, relate("drops", malware, file))
    assert dropped.title == f"MD5 {'0f' * 16}"
    assert f"MD5 hash: {'0f' * 16}" in dropped.text
    assert page(sdo("vulnerability", name="CVE-2021-44228")).meta["cves"] == ["CVE-2021-44228"]


def test_a_report_names_what_it_is_about(sdo: Make) -> None:
    malware = sdo("malware", name="Backdoor")
    report = sdo("report", name="Quarter", object_refs=[malware["id"], "tool--nowhere"],
                 published="2024-05-06T00:00:00Z", description="All of it.")  # fmt: skip
    parsed = page(report, malware)
    assert parsed.text == ("Quarter\n\nAll of it.\n\nPublished: 2024-05-06\n\nAbout\n\n- Backdoor")
    assert "Mentioned in\n\n- Quarter" in page(malware, report).text
    note = sdo("note", name=None, abstract="", content="A *note*.", object_refs=[malware["id"]])
    assert page(note, malware).title == "note: A *note*."


def test_detection_of_attack_18(sdo: Make, relate: Make) -> None:
    technique = sdo("attack-pattern", name="T", **known_as("T1000"))
    component = sdo("x-mitre-data-component", name="Process Creation")
    analytic = sdo("x-mitre-analytic", name="Analytic 1", description="Look.",
                   x_mitre_log_source_references=[
                       {"x_mitre_data_component_ref": component["id"], "name": "auditd",
                        "channel": "EXECVE"}],
                   x_mitre_mutable_elements=[{"field": "Window", "description": "Minutes."}],
    )  # fmt: skip
    strategy = sdo("x-mitre-detection-strategy", name="Spot T",
                   x_mitre_analytic_refs=[analytic["id"]], **known_as("DET0001"))  # fmt: skip
    detects = relate("detects", strategy, technique)
    everything = (technique, component, analytic, strategy, detects)
    assert "Detected by\n\n- Spot T (DET0001)" in page(technique, *everything).text
    assert "Analytics\n\n- Analytic 1" in page(strategy, *everything).text
    text = page(analytic, *everything).text
    assert "Log sources\n\n- auditd: EXECVE: Process Creation\n\nTunable\n\n- Window: Min" in text


def test_tactics_of_their_own_domain(sdo: Make) -> None:
    tactics = [sdo("x-mitre-tactic", 1, name="Impact", x_mitre_shortname="impact",
                   x_mitre_domains=["enterprise-attack"], **known_as("TA0040")),
               sdo("x-mitre-tactic", 2, name="Impact", x_mitre_shortname="impact",
                   x_mitre_domains=["ics-attack"], **known_as("TA0105"))]  # fmt: skip
    technique = sdo("attack-pattern", kill_chain_phases=[
        {"kill_chain_name": "mitre-ics-attack", "phase_name": "impact"},
        {"kill_chain_name": "mitre-ics-attack", "phase_name": "evasion-of-all"},
        {"kill_chain_name": "lockheed", "phase_name": "delivery"}])  # fmt: skip
    parsed = page(technique, *tactics)
    assert "Tactics: Impact (TA0105), Evasion of all\nKill chain phases: delivery (lockheed)" in (
        parsed.text
    )
    assert parsed.meta["tactics"] == ["impact", "evasion-of-all"]
    assert parsed.meta["kill_chain_phases"] == ["delivery"]
    assert "Techniques" in page(tactics[1], technique).text
    assert "Techniques" not in page(tactics[0], technique).text


def test_the_strictest_marking_of_all_that_is_shown(sdo: Make, relate: Make) -> None:
    group, malware = sdo("intrusion-set"), sdo("malware")
    assert "tlp" not in page(group).meta
    own = sdo("marking-definition", definition_type="tlp", definition={"tlp": "GREEN"})
    named = sdo("marking-definition", 2, name="TLP:CLEAR", extensions={"x": {}})
    marked = {**group, "object_marking_refs": [named["id"], own["id"]]}
    assert page(marked, own, named).meta["tlp"] == "green"
    assert page({**marked, "object_marking_refs": [named["id"]]}, named).meta["tlp"] == "clear"
    part = {**marked, "granular_markings": [{"marking_ref": AMBER_STRICT, "selectors": ["name"]}]}
    assert page(part, own).meta["tlp"] == "amber+strict"
    secret = relate("uses", group, malware, description="Secretly.", object_marking_refs=[RED])
    assert page(marked, own, malware, secret).meta["tlp"] == "red"
    hidden = {**malware, "object_marking_refs": [RED]}
    assert page(marked, own, hidden, relate("uses", group, hidden)).meta["tlp"] == "red"
    statement = sdo("marking-definition", definition={"statement": "Copyright"})
    assert "tlp" not in page({**group, "object_marking_refs": [statement["id"]]}, statement).meta


def test_lists_are_bounded(sdo: Make, relate: Make) -> None:
    hub = sdo("malware")
    tools = [sdo("tool", n) for n in range(2_100)]
    uses = [relate("uses", hub, tool, n, description="x " * 3_000) for n, tool in enumerate(tools)]
    parsed = page(hub, *tools, *uses)
    lines = sections(parsed)["Uses"].splitlines()
    assert (len(lines), lines[-1]) == (2_003, "- and 100 more")
    assert all(len(line) < 2_100 for line in lines)
    assert len(page(sdo("tool", name="n" * 9_999)).title) == 200
    many = sdo("tool", aliases=[f"alias {n:04}" for n in range(5_000)])
    assert sum(map(len, page(many).meta["aliases"])) == 1_000


def test_an_object_that_many_name_is_read_once(sdo: Make, relate: Make) -> None:
    # Its name and references read for each of them would take hours, and the run would end.
    hub = sdo("malware", name="n" * 3_000_000, external_references=[{"url": "u"}] * 100_000)
    marking = sdo("marking-definition", name="TLP:RED" + " " * 3_000_000)
    tools = [sdo("tool", n, object_marking_refs=[marking["id"]]) for n in range(10_000)]
    uses = [relate("uses", tool, hub, n) for n, tool in enumerate(tools)]
    graph = graph_of(hub, marking, *tools, *uses)
    assert {render(tool, graph).meta["tlp"] for tool in tools} == {"red"}


@pytest.mark.parametrize("field", ["description", "pattern", "x_mitre_detection", "content"])
def test_a_text_too_long_is_said_so(sdo: Make, field: str) -> None:
    with pytest.raises(DocumentError, match=rf"^{field} too long: over 500,000"):
        page(sdo("malware", **{field: "a" * 500_001}))


def test_an_object_that_says_nothing(sdo: Make) -> None:
    with pytest.raises(DocumentError, match="says nothing"):
        page(sdo("malware", name=None))
    assert page(sdo("malware", name=None, description="Some.")).title == "malware: Some."


FIELDS = """
    name aliases kill_chain_phases external_references hashes labels object_marking_refs
    granular_markings confidence created modified pattern object_refs x_mitre_platforms
    x_mitre_aliases x_mitre_log_sources x_mitre_domains malware_types x_mitre_analytic_refs
    x_mitre_mutable_elements first_seen x_mitre_deprecated
""".split()


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize(
    "wrong", [None, 7, "text", [], [7, None, ["x"]], {}, {"a": {"b": []}}, 1e400, "\ud800", [{}]]
)
def test_values_of_the_wrong_type_say_nothing(
    sdo: Make, relate: Make, field: str, wrong: Any
) -> None:
    broken = sdo("malware", **{"description": "Known.", field: wrong})
    linked = relate("uses", broken, sdo("tool"), description=wrong, object_marking_refs=wrong)
    endless = relate("uses", broken, sdo("tool"), 2, source_ref=wrong, relationship_type=wrong)
    sighting = sdo(
        "sighting",
        sighting_of_ref=broken["id"],
        count=wrong,
        last_seen=wrong,
        where_sighted_refs=wrong,
    )
    marking = sdo("marking-definition", name=wrong, definition=wrong)
    parsed = page(broken, sdo("tool"), linked, endless, sighting, marking)
    assert "Known." in parsed.text
    parsed.text.encode()
    for value in parsed.meta.values():
        assert isinstance(value, str | int | list)
