from __future__ import annotations

from pydantic import BaseModel, Secret, SecretBytes, SecretStr

from sqlbuild.app.secret_values import secret_values


class Inner(BaseModel):
    password: SecretStr
    host: str


class Outer(BaseModel):
    token: SecretStr
    key: SecretBytes
    pin: Secret[int]
    maybe: SecretStr | None = None
    several: list[SecretStr] = []
    named: dict[str, SecretStr] = {}
    inner: Inner
    plain: str = "not-a-secret"


def test_secrets_are_found_wherever_they_stand():
    outer = Outer(
        token="a-token",
        key=b"a-\xffkey",
        pin=12345,
        several=["first", "second"],
        named={"x": "third"},
        inner={"password": "deep", "host": "db"},
    )
    assert list(secret_values(outer)) == ["a-token", "a-\\xffkey", "12345", "first", "second", "third", "deep"]


def test_what_holds_itself_is_looked_through_to_a_bound():
    endless: list[object] = [SecretStr("once")]
    endless.append(endless)
    assert set(secret_values(endless)) == {"once"}


def test_other_objects_have_none():
    assert list(secret_values(object())) == []
    assert list(secret_values("text")) == []
