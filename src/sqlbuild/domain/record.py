"""Records as `dataclasses.dataclass(frozen=True, slots=True, kw_only=True)` makes them, in a tenth of its time; those
that are made or changed for every node are not frozen.

A command makes some 200 of these classes before it does anything, and `dataclass` compiles six functions for each of
them: that is a fifth of what `sqb build` of a small project costs. Here only `__init__` is compiled, which is called for
every record there is, and that when the first one is made: of most classes a command never makes one. The other five are
the same functions for all classes. Fields are those of `dataclasses`, so `fields`, `replace`, `asdict`, `match` and pickle
know these classes as they know others.

Where there are many records, fields that hardly any of them uses are marked SELDOM. They have no slots of their own, but
stand in one object beside the record, and all records that use none of them share one.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import operator
import reprlib
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    # Type checkers know what this one means.
    from dataclasses import dataclass as record
else:

    def record(*, frozen: bool = False, slots: bool, kw_only: bool = False) -> Callable[[type], type]:
        """`slots` must be true; it is written out for who reads it."""
        assert slots
        return lambda cls: _make_record(cls, frozen, kw_only)


__all__ = ["SELDOM", "record"]

SELDOM: Mapping[str, bool] = {"seldom": True}
"""The `metadata` of such a field of a frozen record, which must have a default."""

_NOT_GIVEN: Any = object()
_OF_INSTANCES = ("__dict__", "__weakref__")
"""What a class without slots has for its instances, which are to have none."""


@dataclasses.dataclass(frozen=True, slots=True, init=False, repr=False, eq=False)
class _Plain:
    """Has what `dataclasses` looks for in its own classes."""

    one: None


_PLAIN: Any = _Plain
_OF_FROZEN: Any = _PLAIN.__dataclass_params__
_OF_OTHERS: Any = copy.copy(_OF_FROZEN)
_OF_OTHERS.frozen = False


def _make_record(cls: type, frozen: bool, kw_only: bool) -> type:
    own, annotations = cls.__dict__, cls.__annotations__
    inherited: dict[str, Any] = {}
    for base in reversed(cls.__mro__[1:]):
        inherited |= base.__dict__.get("__dataclass_fields__", {})
    fields = dict(inherited)
    for name, type_ in annotations.items():
        if type_ == "dataclasses.KW_ONLY":
            kw_only = True
        else:
            fields[name] = _field_of(name, type_, own, kw_only)
    seldom = [field for field in fields.values() if field.metadata == SELDOM]
    beside = {field.name for field in seldom}
    made = {name: value for name, value in own.items() if name not in annotations and name not in _OF_INSTANCES}
    made |= {
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__ or f"{cls.__name__}({', '.join(fields)})",
        "__slots__": (
            *(name for name in fields if name not in inherited and name not in beside),
            *(("_seldom",) if beside and not hasattr(cls, "_seldom") else ()),
        ),
        "__dataclass_fields__": fields,
        "__dataclass_params__": _OF_FROZEN if frozen else _OF_OTHERS,
        "__match_args__": tuple(name for name, field in fields.items() if field.init and not field.kw_only),
    }
    if beside:
        # Written in C, both of them, so that no function is called.
        made |= {name: property(operator.attrgetter(f"_seldom.{name}")) for name in beside}
        made["_used_seldom"] = _beside(cls.__name__, seldom)
    if "__eq__" not in own:
        made["__eq__"], hash_ = _comparison_of(fields.values())
        made["__hash__"] = hash_ if frozen else None
    methods = {
        "__init__": _InitWhenAsked(fields.values(), frozen),
        **_METHODS,
        **(_METHODS_OF_FROZEN if frozen else {}),
    }
    return type(cls)(cls.__name__, cls.__bases__, {**methods, **made})


def _field_of(name: str, type_: Any, own: Mapping[str, Any], kw_only: bool) -> Any:
    value = own.get(name, dataclasses.MISSING)
    field: Any = value if isinstance(value, dataclasses.Field) else dataclasses.field(default=value)
    field.name, field.type = name, type_
    # `dataclasses.fields` knows by this that it is one, and neither a ClassVar nor an InitVar.
    field._field_type = _PLAIN.__dataclass_fields__["one"]._field_type
    if field.kw_only is dataclasses.MISSING:
        field.kw_only = kw_only
    return field


def _beside(name: str, seldom: Iterable[dataclasses.Field[Any]]) -> type:
    """The class of what stands beside a record."""

    def __init__(self: Any, **values: object) -> None:  # noqa: N807
        for field in seldom:
            setattr(self, field.name, values.get(field.name, field.default))

    return type(f"{name}Seldom", (), {"__slots__": tuple(field.name for field in seldom), "__init__": __init__})


class _InitWhenAsked:
    """Stands for the `__init__` of a class until it is asked for, which makes it and puts it in this one's place."""

    def __init__(self, fields: Iterable[dataclasses.Field[Any]], frozen: bool) -> None:
        self._fields = fields
        self._frozen = frozen

    def __set_name__(self, cls: type, _name: str) -> None:
        self._cls = cls

    def __get__(self, one: object | None, _owner: type) -> Callable[..., None]:
        init = _init_of(self._cls, self._fields, self._frozen)
        self._cls.__init__ = init  # type: ignore[misc]
        return init if one is None else functools.partial(init, one)


def _init_of(cls: type, fields: Iterable[dataclasses.Field[Any]], frozen: bool) -> Callable[..., None]:
    names: dict[str, Any] = {"_set": object.__setattr__, "_NOT_GIVEN": _NOT_GIVEN}
    parameters: list[str] = []
    by_name: list[str] = []
    seldom: list[str] = []
    lines: list[str] = []
    for field in fields:
        value = name = field.name
        parameter = name
        if field.default is not dataclasses.MISSING:
            names[f"_default_{name}"] = field.default
            parameter = f"{name}=_default_{name}"
            value = name if field.init else f"_default_{name}"
        elif field.default_factory is not dataclasses.MISSING:
            names[f"_make_{name}"] = field.default_factory
            parameter = f"{name}=_NOT_GIVEN"
            value = f"_make_{name}() if {name} is _NOT_GIVEN else {name}" if field.init else f"_make_{name}()"
        elif not field.init:
            continue
        if field.init:
            (by_name if field.kw_only else parameters).append(parameter)
        if field.metadata == SELDOM:
            seldom.append(name)
        else:
            lines.append(f" _set(self,{name!r},{value})" if frozen else f" self.{name}={value}")
    if seldom:
        used: Any = cls._used_seldom  # type: ignore[attr-defined]
        names |= {"_used_seldom": used, "_unused": used()}
        given = ",".join(f"{name}={name}" for name in seldom)
        is_unused = " and ".join(f"{name} is _default_{name}" for name in seldom)
        lines.append(f" _set(self,'_seldom',_unused if {is_unused} else _used_seldom({given}))")
    if by_name:
        parameters += ["*", *by_name]
    if hasattr(cls, "__post_init__"):
        lines.append(" self.__post_init__()")
    # In the class's module, where the names of its annotations are looked up.
    made: dict[str, Any] = {}
    source = [f"def make({','.join(names)}):", f" def __init__({','.join(('self', *parameters))}):"]
    source += [f" {line}" for line in lines or [" pass"]]
    exec("\n".join([*source, " return __init__"]), vars(sys.modules[cls.__module__]), made)  # noqa: S102
    init: Callable[..., None] = made["make"](**names)
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = {field.name: field.type for field in fields if field.init} | {"return": None}
    return init


def _comparison_of(
    fields: Iterable[dataclasses.Field[Any]],
) -> tuple[Callable[[Any, Any], bool], Callable[[Any], int]]:
    compared = [field.name for field in fields if field.compare]
    # With one name it gives the value itself, which compares the same; its hash is then that of the value.
    values: Callable[[Any], Any] = operator.attrgetter(*compared) if compared else _nothing

    def __eq__(self: Any, other: Any) -> bool:  # noqa: N807
        if self is other:
            return True
        return values(self) == values(other) if other.__class__ is self.__class__ else NotImplemented

    def __hash__(self: Any) -> int:  # noqa: N807
        return hash(values(self))

    return __eq__, __hash__


def _nothing(_record: Any) -> tuple[()]:
    return ()


@reprlib.recursive_repr()
def _repr(self: Any) -> str:
    shown = [f"{field.name}={getattr(self, field.name)!r}" for field in dataclasses.fields(self) if field.repr]
    return f"{type(self).__qualname__}({', '.join(shown)})"


def _state(self: Any) -> list[Any]:
    return [getattr(self, field.name) for field in dataclasses.fields(self)]


def _set_state(self: Any, state: list[Any]) -> None:
    values = {field.name: value for field, value in zip(dataclasses.fields(self), state, strict=True)}
    seldom = {field.name: values.pop(field.name) for field in dataclasses.fields(self) if field.metadata == SELDOM}
    if seldom:
        values["_seldom"] = self._used_seldom(**seldom)
    for name, value in values.items():
        object.__setattr__(self, name, value)


def _refuse_to_set(self: Any, name: str, value: object) -> None:
    if _is_kept(self, name):
        raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
    object.__setattr__(self, name, value)


def _refuse_to_delete(self: Any, name: str) -> None:
    if _is_kept(self, name):
        raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
    object.__delattr__(self, name)


def _is_kept(self: Any, name: str) -> bool:
    """A class that is made of a record's class, and is no record itself, may have attributes of its own."""
    return "__dataclass_fields__" in type(self).__dict__ or name in self.__dataclass_fields__


def _replace(self: Any, /, **changes: Any) -> Any:
    return dataclasses.replace(self, **changes)


_METHODS: dict[str, Any] = {
    "__repr__": _repr,
    "__getstate__": _state,
    "__setstate__": _set_state,
    "__replace__": _replace,
}
"""The same functions for all classes."""
_METHODS_OF_FROZEN: dict[str, Any] = {"__setattr__": _refuse_to_set, "__delattr__": _refuse_to_delete}
