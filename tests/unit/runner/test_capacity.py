from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.runner.capacity import Capacity, Lane, need_of

SQL = need_of(Lane.CONNECTIONS, ())
ASYNC = need_of(Lane.CONCURRENCY, ())
CRM = need_of(Lane.CONCURRENCY, ("crm",))


def make(concurrency=2, connections=1, **pools):
    limits = {"concurrency": concurrency, "threads": 1, "connections": connections}
    return Capacity({**limits, **{f"pool:{name}": slots for name, slots in pools.items()}})


def names(capacity):
    return [node for node, _ in capacity.grant()[0]]


def test_the_highest_priority_starts_first_and_equals_in_order_of_arrival():
    capacity = make(concurrency=3)
    for node, priority in (("a", 1), ("b", 5), ("c", 1), ("d", 9)):
        capacity.add(node, ASYNC, priority)
    assert names(capacity) == ["d", "b", "a"]


def test_a_full_pool_delays_nobody_who_does_not_need_it():
    capacity = make(concurrency=3, crm=1)
    for node, need, priority in (("a", CRM, 9), ("b", CRM, 8), ("c", ASYNC, 1)):
        capacity.add(node, need, priority)
    assert names(capacity) == ["a", "c"]
    capacity.give_back(CRM)
    assert names(capacity) == ["b"]


def test_pools_are_taken_all_at_once_or_not_at_all():
    capacity = make(concurrency=9, a=1, b=1)
    both = need_of(Lane.CONCURRENCY, ("a", "b"))
    only_b = need_of(Lane.CONCURRENCY, ("b",))
    capacity.add("holder", need_of(Lane.CONCURRENCY, ("a",)), 9)
    assert names(capacity) == ["holder"]
    capacity.add("both", both, 9)
    capacity.add("only_b", only_b, 1)
    assert names(capacity) == ["only_b"]


def test_statements_and_sql_nodes_take_turns():
    capacity = make(connections=1)
    for index in range(2):
        capacity.add(f"m{index}", SQL, 1)
        capacity.add_statement(f"s{index}")
    order = []
    for _ in range(4):
        nodes, statements = capacity.grant()
        order += [node for node, _ in nodes] + statements
        capacity.give_back(SQL)
    assert order == ["s0", "m0", "s1", "m1"]


def test_a_withdrawn_statement_takes_no_slot():
    capacity = make(connections=1)
    capacity.add_statement("s")
    assert capacity.withdraw_statement("s") is True
    assert capacity.grant() == ([], [])
    assert capacity.withdraw_statement("s") is False


@given(st.lists(st.tuples(st.sampled_from(["concurrency", "threads", "connections"]), st.sets(st.sampled_from("AB")))))
def test_no_limit_is_ever_exceeded_and_every_slot_comes_back(wanted):
    limits = {"concurrency": 3, "threads": 2, "connections": 1, "pool:A": 2, "pool:B": 1}
    capacity = Capacity(limits)
    for index, (lane, pools) in enumerate(wanted):
        capacity.add(str(index), need_of(Lane(lane), tuple(pools)), index % 3)
    running, started = [], 0
    while True:
        granted = capacity.grant()[0]
        running += granted
        started += len(granted)
        assert all(used <= limits[name] for name, used in capacity.in_use().items())
        if not running:
            break
        capacity.give_back(running.pop(0)[1])
    assert started == len(wanted)
    assert not any(capacity.in_use().values())
