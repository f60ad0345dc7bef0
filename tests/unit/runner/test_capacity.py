from hypothesis import given
from hypothesis import strategies as st

from sqlbuild.runner.capacity import Block, Capacity, Lane, Lender, need_of
from sqlbuild.runner.rates import Rate

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


@given(st.lists(st.none() | st.integers(0, 3)), st.sets(st.sampled_from("AB")))
def test_in_whatever_order_nodes_come_and_start_the_best_of_those_that_wait_is_next(steps, pools):
    """A step is a node of that priority that comes, or None where the one that runs ends."""
    capacity = Capacity({"concurrency": 1, "pool:A": 1, "pool:B": 1})
    need = need_of(Lane.CONCURRENCY, tuple(pools))
    waiting, running = [], []
    for number, priority in enumerate([*steps, *[None] * len(steps)]):
        if priority is not None:
            capacity.add(f"task:n{number}", need, priority)
            waiting.append((-priority, number))
        elif running:
            capacity.give_back(running.pop())
        nodes, _ = capacity.grant()
        for node, held in nodes:
            first = min(waiting)
            waiting.remove(first)
            assert node == f"task:n{first[1]}"
            running.append(held)
        assert bool(running) >= bool(waiting)
    assert not waiting


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


def test_who_adds_a_statement_is_told_whether_there_is_something_to_grant():
    capacity = make(connections=1)
    assert capacity.add_statement("first")
    assert capacity.grant() == ([], ["first"])
    assert not capacity.add_statement("second")
    assert capacity.grant() == ([], [])


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


# -- blocks of running nodes ------------------------------------------------------------------------------------------


class Clock:
    def __init__(self):
        self.time = 0.0

    def __call__(self):
        return self.time


def block(name, *pools, lender=None):
    return Block(tuple(sorted(f"pool:{pool}" for pool in pools)), lender, name)


def wait_for(capacity, *blocks):
    for each in blocks:
        capacity.add_block(each)
    return blocks


def everything(capacity):
    nodes, requests = capacity.grant()
    return [*requests, *(node for node, _ in nodes)]


def test_blocks_are_served_in_the_order_they_came():
    capacity = make(crm=1)
    first, second, third = wait_for(capacity, *(block(name, "crm") for name in "abc"))
    assert everything(capacity) == ["a"]
    capacity.give_back_block(first)
    assert everything(capacity) == ["b"]
    capacity.give_back_block(second)
    assert everything(capacity) == ["c"]
    capacity.give_back_block(third)
    assert not any(capacity.in_use().values())


def test_a_block_takes_all_its_pools_at_once_or_none_and_is_overtaken_meanwhile():
    capacity = make(a=1, b=1)
    (holder,) = wait_for(capacity, block("holder", "a"))
    assert everything(capacity) == ["holder"]
    wait_for(capacity, block("both", "b", "a"))
    (single,) = wait_for(capacity, block("single", "b"))
    assert everything(capacity) == ["single"]
    capacity.give_back_block(holder)
    assert everything(capacity) == []
    capacity.give_back_block(single)
    assert everything(capacity) == ["both"]


def test_a_node_lends_its_slot_to_one_of_its_blocks_at_a_time():
    capacity = make(concurrency=9, crm=2)
    capacity.add("node", CRM, 1)
    assert names(capacity) == ["node"]
    lender = Lender(["pool:crm"])
    lent, own, later = wait_for(capacity, *(block(name, "crm", lender=lender) for name in ("lent", "own", "later")))
    assert everything(capacity) == ["lent", "own"]
    assert capacity.in_use()["pool:crm"] == 2
    capacity.give_back_block(lent)
    assert everything(capacity) == ["later"]
    capacity.give_back_block(own)
    assert capacity.in_use()["pool:crm"] == 1
    capacity.give_back_block(later)
    capacity.give_back_lending(CRM, lender)
    assert not any(capacity.in_use().values())


def test_a_lent_slot_that_is_out_when_its_node_ends_comes_back_with_its_block():
    capacity = make(crm=1)
    capacity.add("node", CRM, 1)
    assert names(capacity) == ["node"]
    lender = Lender(["pool:crm"])
    (lent,) = wait_for(capacity, block("lent", "crm", lender=lender))
    assert everything(capacity) == ["lent"]
    capacity.give_back_lending(CRM, lender)
    assert capacity.in_use() == {"concurrency": 0, "threads": 0, "connections": 0, "pool:crm": 1}
    capacity.give_back_block(lent)
    assert not any(capacity.in_use().values())


def test_blocks_and_nodes_of_a_pool_take_turns():
    capacity = make(concurrency=9, crm=1)
    blocks = {name: block(name, "crm") for name in ("b0", "b1", "b2")}
    for index, each in enumerate(blocks.values()):
        capacity.add_block(each)
        capacity.add(f"n{index}", CRM, 1)
    order = []
    for _ in range(6):
        (granted,) = everything(capacity)
        order.append(granted)
        if granted in blocks:
            capacity.give_back_block(blocks[granted])
        else:
            capacity.give_back(CRM)
    assert order == ["b0", "n0", "b1", "n1", "b2", "n2"]


def test_it_is_nobodys_turn_who_cannot_start():
    capacity = make(concurrency=1, crm=1)
    capacity.add("other", ASYNC, 9)
    assert names(capacity) == ["other"]
    first, second = wait_for(capacity, block("b0", "crm"), block("b1", "crm"))
    capacity.add("node", CRM, 1)
    assert everything(capacity) == ["b0"]
    capacity.give_back_block(first)
    assert everything(capacity) == ["b1"]
    capacity.give_back_block(second)
    capacity.give_back(ASYNC)
    assert everything(capacity) == ["node"]


def test_a_block_that_is_withdrawn_takes_nothing_and_one_that_holds_cannot_be():
    capacity = make(crm=1)
    holding, waiting = wait_for(capacity, block("a", "crm"), block("b", "crm"))
    assert everything(capacity) == ["a"]
    assert capacity.withdraw_block(waiting) is True
    assert capacity.withdraw_block(holding) is False
    capacity.give_back_block(holding)
    assert everything(capacity) == []
    assert not any(capacity.in_use().values())


def test_without_a_token_nothing_starts_and_the_next_moment_is_known():
    clock = Clock()
    capacity = Capacity(
        {"concurrency": 9, "threads": 1, "connections": 1, "pool:crm": 9},
        {"pool:crm": Rate(per_second=10.0, burst=2)},
        clock,
    )
    for index in range(3):
        capacity.add(f"n{index}", CRM, 1)
    wait_for(capacity, block("b", "crm"))
    assert everything(capacity) == ["b", "n0"]
    assert 0.1 < capacity.due < 0.1001
    assert everything(capacity) == []
    clock.time = capacity.due
    assert everything(capacity) == ["n1"]
    clock.time = capacity.due
    assert everything(capacity) == ["n2"]
    assert capacity.due is None


def test_what_is_full_needs_no_alarm_for_its_tokens():
    capacity = Capacity(
        {"concurrency": 9, "threads": 1, "connections": 1, "pool:crm": 1}, {"pool:crm": Rate(per_second=1.0)}
    )
    wait_for(capacity, block("a", "crm"), block("b", "crm"))
    assert everything(capacity) == ["a"]
    assert capacity.due is None


def test_a_pause_holds_up_nodes_and_blocks_of_that_pool_only():
    clock = Clock()
    capacity = Capacity({"concurrency": 9, "threads": 1, "connections": 1, "pool:crm": 3, "pool:mail": 3}, None, clock)
    capacity.pause(("pool:crm",), 2.0)
    capacity.add("node", CRM, 1)
    wait_for(capacity, block("crm", "crm"), block("mail", "mail"), block("both", "mail", "crm"))
    assert everything(capacity) == ["mail"]
    assert capacity.due == 2.0
    clock.time = 2.0
    assert sorted(everything(capacity)) == ["both", "crm", "node"]


def test_helpers_get_only_what_no_node_can_use():
    capacity = make()
    threads = need_of(Lane.THREADS, ())
    capacity.add_helper("helper")
    capacity.add("node", threads, 1)
    assert everything(capacity) == ["node"]
    assert not capacity.nodes_wait_for_threads()
    capacity.give_back(threads)
    assert everything(capacity) == ["helper"]
    capacity.add("next", threads, 1)
    assert everything(capacity) == []
    assert capacity.nodes_wait_for_threads()
    capacity.give_back_helper()
    assert everything(capacity) == ["next"]


operations = st.lists(
    st.one_of(
        st.tuples(st.just("node"), st.sets(st.sampled_from("AB"), max_size=2)),
        st.tuples(st.just("block"), st.sets(st.sampled_from("ABC"), min_size=1)),
        st.tuples(st.just("lent"), st.sets(st.sampled_from("ABC"), min_size=1)),
        st.tuples(st.sampled_from(["end", "leave", "withdraw", "pause", "later"]), st.integers(0, 99)),
    ),
    max_size=80,
)


@given(operations)
def test_whatever_happens_no_limit_is_exceeded_and_everything_comes_back(steps):  # noqa: C901
    limits = {"concurrency": 4, "threads": 1, "connections": 1, "pool:A": 2, "pool:B": 1, "pool:C": 3}
    clock = Clock()
    capacity = Capacity(limits, {"pool:B": Rate(per_second=1.0), "pool:C": Rate(per_second=5.0, burst=3)}, clock)
    running, blocks = {}, []

    def settle():
        for node, need in capacity.grant()[0]:
            running[node] = (need, Lender(need[1:]))
        assert all(0 <= used <= limits[name] for name, used in capacity.in_use().items())

    for index, (step, what) in enumerate(steps):
        holding = [each for each in blocks if each.state is not None]
        if step == "node":
            capacity.add(index, need_of(Lane.CONCURRENCY, tuple(what)), index % 3)
        elif step == "block":
            blocks += wait_for(capacity, block(index, *what))
        elif step == "lent" and running:
            blocks += wait_for(capacity, block(index, *what, lender=list(running.values())[index % len(running)][1]))
        elif step == "end" and running:
            need, lender = running.pop(list(running)[what % len(running)])
            for each in [each for each in blocks if each.lender is lender and each.state is None]:
                capacity.withdraw_block(each)
            capacity.give_back_lending(need, lender)
        elif step == "leave" and holding:
            capacity.give_back_block(holding[what % len(holding)])
        elif step == "withdraw" and blocks:
            each = blocks[what % len(blocks)]
            assert not (capacity.withdraw_block(each) and each.state is not None)
        elif step == "pause":
            capacity.pause((("pool:A", "pool:B", "pool:C")[what % 3],), clock.time + 1.0)
        elif step == "later":
            clock.time += what / 20
        settle()
    while True:
        clock.time += 10.0
        settle()
        holding = [each for each in blocks if each.state is not None]
        if not running and not holding:
            break
        for each in holding:
            capacity.give_back_block(each)
        for need, lender in running.values():
            for each in [each for each in blocks if each.lender is lender]:
                capacity.withdraw_block(each)
            capacity.give_back_lending(need, lender)
        running.clear()
    assert not any(capacity.in_use().values())
    assert not capacity.drain()
