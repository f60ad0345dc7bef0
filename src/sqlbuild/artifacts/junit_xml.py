"""The results of a run as JUnit XML, which servers that run tests read."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree

from sqlbuild.domain.graph import Graph
from sqlbuild.domain.ids import NodeKind
from sqlbuild.domain.pattern import pattern
from sqlbuild.domain.results import SUCCESSES, NodeResult, RunResult, Status
from sqlbuild.domain.unit_test_results import NOT_AS_EXPECTED
from sqlbuild.domain.utc_text import utc_text

_NOT_XML = pattern("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_document(project_name: str, result: RunResult, graph: Graph) -> Iterable[str]:
    """One suite with a case for each unit test of the run: failures are what was not as expected, all else is an error."""
    tests = [each for each in result.results.values() if each.kind is NodeKind.TEST]
    suite = ElementTree.Element("testsuite", name=_xml(project_name), tests=str(len(tests)))
    counts = {"failures": 0, "errors": 0, "skipped": 0}
    for test in tests:
        case = _case(test, graph)
        suite.append(case)
        for count, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            counts[count] += case.find(tag) is not None
    for name, number in counts.items():
        suite.set(name, str(number))
    suite.set("time", f"{result.finished_at - result.started_at:.3f}")
    suite.set("timestamp", f"{utc_text(result.started_at)}+00:00")
    suites = ElementTree.Element("testsuites")
    suites.append(suite)
    ElementTree.indent(suites)
    return ['<?xml version="1.0" encoding="UTF-8"?>\n', ElementTree.tostring(suites, encoding="unicode"), "\n"]


def _case(test: NodeResult, graph: Graph) -> ElementTree.Element:
    place = graph.nodes[test.node_id].place
    case = ElementTree.Element(
        "testcase",
        classname=_xml(place.path.removesuffix(".sql").replace("/", ".")),
        name=_xml(test.name),
        file=_xml(place.path),
        line=str(place.line),
        time=f"{test.duration:.3f}",
    )
    if test.status in SUCCESSES:
        return case
    if test.error is None or test.status not in (Status.FAILED, Status.TIMED_OUT):
        ElementTree.SubElement(case, "skipped", message=_xml(test.status.replace("_", " ")))
        return case
    error = test.error
    tag = "failure" if error.type == NOT_AS_EXPECTED else "error"
    told = ElementTree.SubElement(case, tag, type=_xml(error.type), message=_xml(error.message.split("\n")[0]))
    told.text = _xml(f"{error.path}:{error.line}\n{error.message}" if error.line else error.message)
    return case


def _xml(text: str) -> str:
    """Without characters that XML cannot hold."""
    return _NOT_XML.sub("\ufffd", text)
