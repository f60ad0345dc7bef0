"""Random projects, and what must become of them: a reference model that runs one node at a time, without a loop, threads,
slots or a journal. For `test_random_runs.py` and `test_random_kills.py`."""

from __future__ import annotations

import collections
import dataclasses
import hashlib

from hypothesis import strategies as st

from sqlbuild.domain.ids import NodeId, name_of

ATTEMPTS = 3
GOOD = {"succeeded", "warned"}
BAD = {"failed", "timed_out", "blocked", "unknown"}


# -- what a project is ------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Node:
    """What stands in the project. `kind`: `sync` and `async` tasks, `model`, `check`, `audit`; an audit's one upstream is the
    model that it is a gate of."""

    name: str
    kind: str
    upstream: tuple[str, ...]
    pools: tuple[str, ...]
    requires: str
    version: int = 0

    @property
    def id(self) -> NodeId:
        return NodeId(f"{self.kind if self.kind in ('model', 'check', 'audit') else 'task'}:{self.name}")


KINDS = ["sync", "async", "async", "model", "model", "audit", "audit", "check"]
LOOKING = ("check", "audit")
TROUBLE = ["fail", "soft", "hard", "flaky 1", "flaky 2", "flaky 3", "timeout"]
CALM, WILD = ["ok"] * 14 + ["query"] * 2 + TROUBLE, ["ok"] * 5 + ["query"] + TROUBLE + ["soft"] * 2


@st.composite
def projects(draw, least=1):
    nodes: dict[str, Node] = {}
    for index in range(draw(st.integers(least, 40))):
        above = [node.name for node in nodes.values() if node.kind not in LOOKING]
        models = [node.name for node in nodes.values() if node.kind == "model"]
        kind = draw(st.sampled_from([each for each in KINDS if {"check": above, "audit": models}.get(each, True)]))
        if kind == "audit":
            nodes[f"n{index}"] = Node(f"n{index}", kind, (draw(st.sampled_from(models)),), (), "any")
            continue
        nodes[f"n{index}"] = Node(
            name=f"n{index}",
            kind=kind,
            upstream=tuple(sorted(draw(st.sets(st.sampled_from(above), min_size=kind == "check", max_size=4))))
            if above
            else (),
            pools=() if kind in ("model", "check") else tuple(sorted(draw(st.sets(st.sampled_from("ab"), max_size=2)))),
            # A check is skipped by any skip above it; models cannot say.
            requires={"model": "any", "check": "all"}.get(kind) or draw(st.sampled_from(["any", "all", "none_failed"])),
        )
    return nodes


outcomes = st.sampled_from([CALM, WILD]).flatmap(
    lambda known: st.lists(st.sampled_from(known), min_size=1, max_size=40)
)


# -- the reference model ----------------------------------------------------------------------------------------------


def made_of(nodes):
    """What each node and all that is above it are made of."""
    made = {}
    for name, node in nodes.items():
        text = repr((node, [made[near] for near in node.upstream]))
        made[name] = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return made


def run_set(nodes, chosen, lacking):
    """What is chosen, what that needs and the target lacks, and the audits and checks of all that which have what they look at."""
    run, pending = set(chosen), list(chosen)
    while pending:
        needed = {near for near in nodes[pending.pop()].upstream if near in lacking and near not in run}
        run |= needed
        pending += needed
    for node in nodes.values():
        if node.kind in LOOKING and run & set(node.upstream) and not lacking & set(node.upstream) - run:
            run.add(node.name)
    return run


def endings(nodes, run, outcomes, tables=None):
    """Node -> (status, attempts, possible causes), if nothing stops the run; a skip is `soft` or `hard`.

    `tables` are those that are there when it begins, if any may be missing: an audit of one that is not fails, where the
    run does not build it.
    """
    ends = {}
    for name, node in nodes.items():
        if name not in run:
            continue
        above = {near: ends[near] for near in node.upstream if near in run}
        blockers = [near for near, end in above.items() if end[0] in BAD or end[0] == "hard"]
        skipped = [near for near, end in above.items() if end[0] == "soft"]
        outcome = outcomes[name]
        if node.kind == "audit" and not above and tables is not None and node.upstream[0] not in tables:
            outcome = "fail"
        if node.kind == "model" and any(
            each in run and own_ending(nodes[each], outcomes[each])[0] == "failed" for each in gates_of(nodes, name)
        ):
            outcome = "fail"
        if (
            node.kind == "audit"
            and above
            and own_ending(nodes[node.upstream[0]], outcomes[node.upstream[0]])[0] == "succeeded"
        ):
            # It looks at what its model has staged, and the model waits for it.
            blockers = [near for near in blockers if ends[near][1] == 0]
        if blockers:
            ends[name] = ("blocked", 0, set().union(*(ends[near][2] or {near} for near in blockers)))
        elif (node.requires == "any" and above and len(skipped) == len(above)) or (node.requires == "all" and skipped):
            ends[name] = ("soft", 0, None)
        else:
            ends[name] = (*own_ending(node, outcome), None)
    return ends


def gates_of(nodes, name):
    return [node.name for node in nodes.values() if node.kind == "audit" and name in node.upstream]


def own_ending(node, outcome):
    if node.kind in ("model", "audit"):
        return ("failed" if outcome == "fail" else "succeeded"), 1
    tries = 1 if node.kind == "check" else ATTEMPTS
    if node.kind == "check" and outcome == "soft":
        return "warned", 1
    if outcome.startswith("flaky"):
        failures = int(outcome.split()[1])
        return ("succeeded", failures + 1) if failures < tries else ("failed", tries)
    if outcome == "fail":
        return "failed", tries
    if outcome == "timeout" and node.kind == "async":
        return "timed_out", tries
    if outcome in ("soft", "hard") and node.kind != "check":
        return outcome, 1
    return "succeeded", 1


@dataclasses.dataclass
class Life:
    """What is known of a node in a run: when it began last, made of what, and how that ended."""

    turn: int = 0
    made_of: str = ""
    attempt: int = 0
    status: str | None = None


@dataclasses.dataclass
class Run:
    run_id: str
    has_begun: bool = False
    planned: set[str] = dataclasses.field(default_factory=set)
    nodes: dict[str, Life] = dataclasses.field(default_factory=lambda: collections.defaultdict(Life))
    turns: int = 0
    exit_code: int | None = None

    def remember(self, record, made):
        """One record of the journal, written by a process whose nodes were `made` of this; the node that it is of."""
        match record:
            case {"journal": _}:
                self.has_begun = True
            case {"resumed": _}:
                self.exit_code = None
            case {"planned": planned}:
                self.planned |= set(map(name_of, planned))
            case {"started": node, "attempt": attempt}:
                self.turns += 1
                name = name_of(node)
                self.nodes[name] = Life(self.turns, made[name], attempt, "unknown")
                return name
            case {"finished": {"node_id": node, "status": status}}:
                self.nodes[name_of(node)].status = status
                return name_of(node)
            case {"ended": _, "exit_code": exit_code}:
                self.exit_code = exit_code
        return None


def left_of(run, nodes, tables):
    """What must run again: no durable success, made of something else now, its table gone, or above it something that
    must run again or has run since."""
    again, made = set(), made_of(nodes)
    for name, node in nodes.items():
        if name not in run.planned:
            continue
        life = run.nodes[name]
        above = [near for near in node.upstream if near in run.planned]
        if (
            life.status not in GOOD
            or life.made_of != made[name]
            or (node.kind == "model" and name not in tables)
            or any(near in again or run.nodes[near].turn > life.turn for near in above)
        ):
            again.add(name)
    return again
