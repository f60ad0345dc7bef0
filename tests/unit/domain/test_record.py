from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import typing
from typing import Any

import pytest

from sqlbuild.domain.events import NodeFinished
from sqlbuild.domain.record import SELDOM, record
from sqlbuild.domain.results import NodeResult


@record(frozen=True, slots=True, kw_only=True)
class Parcel:
    """Something sent."""

    to: str
    weight: float = 1.5
    labels: list[str] = dataclasses.field(default_factory=list)
    sender: str = dataclasses.field(default="", compare=False, repr=False)
    length: int = dataclasses.field(init=False, default=0)

    def __post_init__(self) -> None:
        object.__setattr__(self, "length", len(self.to))


@record(frozen=True, slots=True)
class Point:
    x: int
    y: int = 0


@record(frozen=True, slots=True, kw_only=True)
class Postcard:
    to: str
    stamps: tuple[int, ...] = dataclasses.field(default=(), metadata=SELDOM)
    by: str = dataclasses.field(default="post", metadata=SELDOM)


@record(frozen=True, slots=True, kw_only=True)
class Telegram(Postcard):
    words: int
    answer: str | None = dataclasses.field(default=None, metadata=SELDOM)


@dataclasses.dataclass(frozen=True, slots=True)
class PlainPoint:
    x: int
    y: int = 0


@record(frozen=True, slots=True, kw_only=True)
class Insured(Parcel):
    value: int


@record(slots=True)
class Letter:
    """Is changed on its way."""

    to: str
    stamps: list[str] = dataclasses.field(default_factory=list)
    _: dataclasses.KW_ONLY
    opened: bool = False


def test_it_has_the_fields_defaults_and_arguments_of_a_dataclass():
    parcel = Parcel(to="Ada")
    assert (parcel.to, parcel.weight, parcel.labels, parcel.sender, parcel.length) == ("Ada", 1.5, [], "", 3)
    assert parcel.labels is not Parcel(to="Ada").labels
    assert [field.name for field in dataclasses.fields(parcel)] == ["to", "weight", "labels", "sender", "length"]
    assert Point(1, y=2) == Point(x=1, y=2)
    match Point(1, 2):
        case Point(x, y):
            assert (x, y) == (1, 2)


@pytest.mark.parametrize(
    "make", [lambda: Parcel("Ada"), lambda: Parcel(), lambda: Parcel(to="Ada", to_whom="?"), lambda: Point()]
)
def test_wrong_arguments_are_refused(make):
    with pytest.raises(TypeError, match="argument"):
        make()


def test_records_are_equal_by_what_is_compared_and_of_one_class():
    assert Parcel(to="Ada", sender="Bob") == Parcel(to="Ada")
    assert Parcel(to="Ada") != Parcel(to="Ada", weight=2.0)
    assert Point(1) != PlainPoint(1)
    assert Insured(to="Ada", value=1) != Parcel(to="Ada")
    assert {Point(1): "one"}[Point(1, 0)] == "one"
    with pytest.raises(TypeError, match="unhashable"):
        hash(Parcel(to="Ada"))


def test_it_is_shown_as_a_dataclass_is():
    assert repr(Parcel(to="Ada", sender="Bob")) == "Parcel(to='Ada', weight=1.5, labels=[], length=3)"
    assert repr(Point(1)).replace("Point", "PlainPoint") == repr(PlainPoint(1))


@pytest.mark.parametrize("one", [Point(1), Parcel(to="Ada"), Insured(to="Ada", value=1)])
def test_nothing_of_it_can_be_changed(one: Any):
    name = dataclasses.fields(one)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot assign to field '{name}'"):
        setattr(one, name, 2)
    with pytest.raises(dataclasses.FrozenInstanceError, match=f"cannot delete field '{name}'"):
        delattr(one, name)
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.other = 2
    assert not hasattr(one, "__dict__")


def test_what_is_not_frozen_can_be_changed():
    letter = Letter("Ada", opened=True)
    assert letter == Letter("Ada", [], opened=True)
    letter.opened = False
    letter.stamps.append("blue")
    assert repr(letter) == "Letter(to='Ada', stamps=['blue'], opened=False)"
    assert pickle.loads(pickle.dumps(letter)) == copy.copy(letter) == dataclasses.replace(letter)
    for wrong in (lambda: Letter("Ada", [], True), lambda: hash(letter), lambda: Letter()):
        with pytest.raises(TypeError):
            wrong()
    with pytest.raises(AttributeError):
        letter.sender = "Bob"  # type: ignore[attr-defined]


def test_a_class_made_of_it_may_have_attributes_of_its_own():
    class Marked(Point):
        pass

    marked = Marked(1)
    marked.note = "mine"
    with pytest.raises(dataclasses.FrozenInstanceError):
        marked.x = 2
    del marked.note
    assert marked == Marked(1)


@pytest.mark.parametrize("one", [Point(1, 2), Parcel(to="Ada", labels=["fragile"]), Insured(to="Ada", value=1)])
def test_it_can_be_copied_replaced_and_pickled(one):
    assert pickle.loads(pickle.dumps(one)) == one
    assert copy.deepcopy(one) == one
    names = {field.name: getattr(one, field.name) for field in dataclasses.fields(one) if field.init}
    assert dataclasses.replace(one) == type(one)(**names)
    assert dataclasses.asdict(one) == {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}


def test_methods_of_its_own_stay():
    @record(frozen=True, slots=True, kw_only=True)
    class Named:
        name: str

        def __repr__(self) -> str:
            return self.name

        def __eq__(self, other: object) -> bool:
            return isinstance(other, Named) and other.name.lower() == self.name.lower()

        def __hash__(self) -> int:
            return 1

    assert repr(Named(name="Ada")) == "Ada"
    assert Named(name="Ada") == Named(name="ADA")
    assert hash(Named(name="Ada")) == 1


def test_without_a_docstring_it_names_its_fields():
    assert Parcel.__doc__ == "Something sent."
    assert Point.__doc__ == "Point(x, y)"


def test_a_record_that_holds_itself_can_be_shown():
    parcel = Parcel(to="Ada")
    parcel.labels.append(parcel)  # type: ignore[arg-type]
    assert "..." in repr(parcel)


def test_its_arguments_can_be_asked_for_before_and_after_the_first_one_is_made():
    @record(frozen=True, slots=True)
    class Place:
        name: str
        floor: int = 0

    class Room(Place):
        pass

    assert str(inspect.signature(Room)) == "(name: 'str', floor: 'int' = 0) -> None"
    assert Room("attic", floor=2).floor == 2
    assert str(inspect.signature(Place)) == "(name: 'str', floor: 'int' = 0) -> None"
    assert Place.__init__.__qualname__.endswith("Place.__init__")


def test_the_types_of_its_arguments_are_found_in_its_module():
    hints = typing.get_type_hints(NodeFinished.__init__)
    assert hints["result"] is NodeResult
    assert inspect.signature(NodeFinished, eval_str=True).parameters["result"].annotation is NodeResult


def test_fields_that_hardly_any_record_uses_are_as_others_and_cost_nothing_where_they_are_not_used():
    card, stamped = Postcard(to="Ada"), Postcard(to="Ada", stamps=(1, 2))
    assert (card.stamps, card.by, stamped.stamps, stamped.by) == ((), "post", (1, 2), "post")
    assert (card == Postcard(to="Ada", by="post"), card == stamped) == (True, False)
    assert repr(stamped) == "Postcard(to='Ada', stamps=(1, 2), by='post')"
    assert dataclasses.replace(stamped, by="hand") == Postcard(to="Ada", stamps=(1, 2), by="hand")
    assert dataclasses.replace(stamped, stamps=()) == card
    assert card._seldom is Postcard(to="Bob")._seldom  # type: ignore[attr-defined]
    with pytest.raises(dataclasses.FrozenInstanceError):
        card.by = "hand"  # type: ignore[misc]


@pytest.mark.parametrize(
    "one", [Postcard(to="Ada"), Postcard(to="Ada", by="hand"), Telegram(to="Ada", words=2, answer="yes", stamps=(3,))]
)
def test_they_are_copied_and_pickled_with_the_others(one):
    assert copy.copy(one) == one == pickle.loads(pickle.dumps(one))
    assert dataclasses.asdict(one) == {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
