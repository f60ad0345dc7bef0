from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.compiler.topological_order import MAX_CYCLES, layers_of, order_nodes
from sqlbuild.domain.ids import NodeId


@st.composite
def graphs(draw: st.DrawFn) -> dict[NodeId, tuple[NodeId, ...]]:
    names = [NodeId(f"task:n{number}") for number in range(draw(st.integers(1, 9)))]
    return {
        name: tuple(draw(st.lists(st.sampled_from(names), max_size=3, unique=True)))
        for name in draw(st.permutations(names))
    }


def on_a_cycle(graph: dict[NodeId, tuple[NodeId, ...]]) -> set[NodeId]:
    """The nodes that can reach themselves, the slow way."""
    reach = {node: set(upstream) for node, upstream in graph.items()}
    for _ in graph:
        for node in graph:
            reach[node] |= {further for near in reach[node] for further in reach[near]}
    return {node for node in graph if node in reach[node]}


@given(graphs())
def test_upstreams_come_first_wherever_there_is_no_cycle(graph: dict[NodeId, tuple[NodeId, ...]]) -> None:
    order = order_nodes(graph)
    assert sorted(order.nodes) == sorted(graph)
    place = {node: position for position, node in enumerate(order.nodes)}
    cyclic = on_a_cycle(graph)
    for node, upstreams in graph.items():
        for upstream in upstreams:
            if node not in cyclic or upstream not in cyclic:
                assert place[upstream] < place[node]


@given(graphs())
def test_every_cycle_found_is_one_and_is_found_once(graph: dict[NodeId, tuple[NodeId, ...]]) -> None:
    cycles = order_nodes(graph).cycles
    for cycle in cycles:
        assert len(set(cycle)) == len(cycle)
        for node, upstream in zip(cycle, (*cycle[1:], cycle[0]), strict=True):
            assert upstream in graph[node]
    assert len(set(cycles)) == len(cycles)
    assert bool(cycles) == bool(on_a_cycle(graph))


@given(graphs())
def test_no_node_outside_of_cycles_is_named_in_one(
    graph: dict[NodeId, tuple[NodeId, ...]],
) -> None:
    named = {node for cycle in order_nodes(graph).cycles for node in cycle}
    assert named <= on_a_cycle(graph)


def test_nodes_that_need_nothing_keep_their_order() -> None:
    names = [NodeId(f"task:{letter}") for letter in "dbca"]
    assert order_nodes(dict.fromkeys(names, ())).nodes == tuple(names)


def test_a_node_moves_only_behind_what_it_needs() -> None:
    a, b, c = (NodeId(f"task:{letter}") for letter in "abc")
    assert order_nodes({a: (c,), b: (), c: ()}).nodes == (c, a, b)


def test_a_cycle_begins_with_its_earliest_declared_node() -> None:
    a, b, c = (NodeId(f"task:{letter}") for letter in "abc")
    assert order_nodes({a: (b,), b: (c,), c: (b,)}).cycles == ((b, c),)


def test_a_chain_and_a_cycle_of_very_many_nodes_need_no_recursion() -> None:
    names = [NodeId(f"task:n{number}") for number in range(20_000)]
    chain = {node: (upstream,) for node, upstream in zip(names[1:], names, strict=False)}
    assert order_nodes({**dict(reversed(chain.items())), names[0]: ()}).nodes == tuple(names)
    assert len(order_nodes({**chain, names[0]: (names[-1],)}).cycles[0]) == 20_000


def test_very_many_cycles_are_not_all_collected() -> None:
    names = [NodeId(f"task:n{number}") for number in range(100)]
    assert len(order_nodes({name: tuple(names) for name in names}).cycles) == MAX_CYCLES


def test_layers_keep_the_order_and_depend_only_on_those_before() -> None:
    depends_on = {"a": (), "c": ("b",), "b": ("a",), "d": ("a", "elsewhere"), "e": ()}
    order = order_nodes(depends_on).nodes

    assert layers_of(order, depends_on) == [["a", "e"], ["b", "d"], ["c"]]


@given(graphs())
def test_layers_have_every_node_once_and_upstreams_in_earlier_ones(graph: dict[NodeId, tuple[NodeId, ...]]) -> None:
    order = order_nodes(graph)

    layers = layers_of(order.nodes, graph)

    assert sorted(node for layer in layers for node in layer) == sorted(graph)
    layer_of = {node: number for number, layer in enumerate(layers) for node in layer}
    if not order.cycles:
        assert all(layer_of[each] < layer_of[node] for node, upstream in graph.items() for each in upstream)
