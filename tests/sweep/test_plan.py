"""Which orders a sweep places: numbered, interleaved, the same again with the same seed."""

from collections import Counter

import pytest

import firmly_nb as fnb
from firmly_nb.sweep.plan import Plan

A, B, C = (fnb.Order.example(quantity=q) for q in (1, 2, 3))


def quantities(plan):
    return [planned.variant.order.quantity for planned in plan]


def test_one_order_is_placed_as_often_as_said():
    plan = Plan(A, 3, seed=0)
    assert [planned.number for planned in plan] == [1, 2, 3]
    assert plan.size == 3


def test_one_order_without_a_number_is_a_question():
    with pytest.raises(ValueError, match=r"is missing. Pass count=20, or duration"):
        Plan(A, None, seed=0)


def test_a_list_is_placed_as_it_stands():
    assert quantities(Plan([C, A, B], None, seed=0)) == [3, 1, 2]


def test_a_longer_run_has_one_of_each_in_a_random_order_then_again_one_of_each():
    found = quantities(Plan([A, B, C], 300, seed=5))
    blocks = [tuple(found[i : i + 3]) for i in range(0, 300, 3)]
    assert all(sorted(block) == [1, 2, 3] for block in blocks)
    # All six sequences occur: 100 blocks miss a given one with probability (5/6)^100.
    assert len(Counter(blocks)) == 6
    assert found == quantities(Plan([A, B, C], 300, seed=5))
    assert found != quantities(Plan([A, B, C], 300, seed=6))


def test_a_part_of_a_plan_is_the_beginning_of_the_whole():
    assert quantities(Plan([A, B, C], 90, seed=1))[:40] == quantities(Plan([A, B, C], 40, seed=1))


def test_a_generator_is_asked_for_no_more_than_is_placed():
    asked = []

    def orders():
        for order in (A, B, C):
            asked.append(order)
            yield order

    plan = Plan(orders(), 2, seed=0)
    assert asked == []
    assert quantities(plan) == [1, 2]
    assert len(asked) == 2


def test_a_generator_tells_its_length_by_ending():
    plan = Plan(iter([A, B]), None, seed=0)
    assert plan.size is None
    assert quantities(plan) == [1, 2]


@pytest.mark.parametrize("orders", ["order", {"a": 1}, 7, [A, "b"], None])
def test_what_is_no_order_is_refused(orders):
    with pytest.raises(TypeError, match="Order"):
        Plan(orders, 2, seed=0)


def test_no_order_at_all_is_said():
    with pytest.raises(ValueError, match="the list is empty"):
        Plan([], None, seed=0)
