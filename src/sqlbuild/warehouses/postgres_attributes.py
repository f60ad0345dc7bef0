"""What a relation has besides its rows: owner, grants, comments and options. A relation in its place gets them too."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sqlbuild.domain.record import record
from sqlbuild.domain.relation_options import Grants
from sqlbuild.drivers.postgres_errors import translated
from sqlbuild.errors import WarehouseError
from sqlbuild.sql.rendering import quote_identifier

_RELATIONS = """
SELECT c.oid, pg_get_userbyid(c.relowner) AS owner, c.relowner = current_user::regrole AS is_own,
    c.relacl IS NOT NULL AS has_grants, c.reloptions AS options,
    obj_description(c.oid, 'pg_class') AS comment, obj_description(c.reltype, 'pg_type') AS declared
FROM pg_class AS c WHERE c.oid = ANY($1::oid[])
"""
_GRANTS = """
SELECT e.relation, e.attname, CASE WHEN e.grantee = 0 THEN 'public' ELSE pg_get_userbyid(e.grantee) END AS role,
    lower(e.privilege_type) AS privilege, e.is_grantable
FROM (
    SELECT c.oid AS relation, NULL::name AS attname, c.relowner, acl.*
    FROM pg_class AS c, aclexplode(c.relacl) AS acl WHERE c.oid = ANY($1::oid[])
    UNION ALL
    SELECT c.oid, a.attname, c.relowner, acl.*
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid, aclexplode(a.attacl) AS acl
    WHERE c.oid = ANY($1::oid[]) AND NOT a.attisdropped
) AS e
WHERE e.grantee <> e.relowner
"""
_COLUMN_COMMENTS = """
SELECT a.attrelid, a.attname, d.description
FROM pg_description AS d JOIN pg_attribute AS a ON a.attrelid = d.objoid AND a.attnum = d.objsubid
WHERE d.classoid = 'pg_class'::regclass AND d.objoid = ANY($1::oid[]) AND d.objsubid > 0 AND NOT a.attisdropped
"""
_COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped"
_DECLARED = "sqlbuild grants "
"""How a comment on the type of a relation's rows begins, which nobody looks at: what was granted because a header says
so is taken back when it does not any more, and what others have granted stays."""


@record(frozen=True, slots=True, kw_only=True)
class Grant:
    """One privilege of one role, on the whole relation or on a column."""

    role: str
    """`public` is everybody."""
    privilege: str
    column: str | None = None
    grantable: bool = False

    def statement(self, name: str) -> str:
        option = " WITH GRANT OPTION" if self.grantable else ""
        return f"GRANT {self._what()} ON {name} TO {_role(self.role)}{option}"

    def revoked(self, name: str) -> str:
        return f"REVOKE {self._what()} ON {name} FROM {_role(self.role)}"

    def _what(self) -> str:
        column = f" ({quote_identifier(self.column)})" if self.column is not None else ""
        return f"{self.privilege.upper()}{column}"


@record(frozen=True, slots=True, kw_only=True)
class Attributes:
    owner: str
    is_own: bool
    """Its owner is who builds."""
    has_grants: bool
    """False: nobody has ever granted or revoked anything but on columns, and the defaults hold."""
    grants: frozenset[Grant]
    """All but the owner's."""
    declared: frozenset[Grant]
    """Those of them that stood in the header with which it was built."""
    options: tuple[str, ...]
    """`security_barrier=true`, for example."""
    comment: str | None
    column_comments: Mapping[str, str]

    def declared_as_grants(self) -> Grants:
        found: dict[str, tuple[str, ...]] = {}
        for grant in _sorted(self.declared):
            found[grant.privilege] = (*found.get(grant.privilege, ()), grant.role)
        return found

    @property
    def given_by_hand(self) -> frozenset[Grant]:
        return self.grants - self.declared


@record(frozen=True, slots=True, kw_only=True)
class NewRelation:
    name: str
    """Quoted and qualified."""
    kind: str
    """`TABLE` or `VIEW`."""
    oid: int


async def attributes_of(raw: Any, relations: Collection[int]) -> dict[int, Attributes]:
    """By the oid of the relation."""
    oids = list(relations)
    found = await raw.fetch(_RELATIONS, oids)
    grants: dict[int, set[Grant]] = {oid: set() for oid in oids}
    comments: dict[int, dict[str, str]] = {oid: {} for oid in oids}
    for oid, column, role, privilege, grantable in await raw.fetch(_GRANTS, oids):
        grants[oid].add(Grant(role=role, privilege=privilege, column=column, grantable=grantable))
    for oid, column, text in await raw.fetch(_COLUMN_COMMENTS, oids):
        comments[oid][column] = text
    return {
        row["oid"]: Attributes(
            owner=row["owner"],
            is_own=row["is_own"],
            has_grants=row["has_grants"],
            grants=frozenset(grants[row["oid"]]),
            declared=_parsed(row["declared"]),
            options=tuple(row["options"] or ()),
            comment=row["comment"],
            column_comments=comments[row["oid"]],
        )
        for row in found
    }


async def give_attributes(raw: Any, new: NewRelation, before: Attributes) -> None:
    """Make what is new what another relation was, but for its owner, who comes last: see `give_owner`."""
    name, oid = new.name, new.oid
    statements: list[str] = []
    if before.has_grants or before.grants:
        now = (await attributes_of(raw, [oid]))[oid].grants
        if before.has_grants:
            statements += [grant.revoked(name) for grant in _sorted(now - before.given_by_hand)]
        statements += [grant.statement(name) for grant in await _on_columns(raw, oid, before.given_by_hand - now)]
    if before.comment is not None:
        statements.append(f"COMMENT ON {new.kind} {name} IS {_text(before.comment)}")
    if before.column_comments:
        columns = await _columns(raw, oid)
        for column, text in before.column_comments.items():
            if column in columns:
                statements.append(f"COMMENT ON COLUMN {name}.{quote_identifier(column)} IS {_text(text)}")
    if statements:
        await raw.execute("; ".join(statements))


async def give_owner(raw: Any, name: str, before: Attributes) -> None:
    if not before.is_own:
        statement = f"ALTER TABLE {name} OWNER TO {quote_identifier(before.owner)}"
        with translated(statement):
            await raw.execute(statement)


async def give_declared_grants(raw: Any, name: str, grants: Grants, before: frozenset[Grant] = frozenset()) -> None:
    """What a model's header grants; of what it did `before`, what is left of that is taken back."""
    declared = frozenset(Grant(role=role, privilege=key) for key, roles in grants.items() for role in roles)
    if before - declared:
        await raw.execute("; ".join(grant.revoked(name) for grant in _sorted(before - declared)))
    for grant in _sorted(declared):
        statement = grant.statement(name)
        try:
            with translated(statement):
                await raw.execute(statement)
        except WarehouseError as error:
            raise WarehouseError(
                f"`grants` of the model: {error.args[0]}",
                help=error.help or f"correct it in the header, or make the role: CREATE ROLE {_role(grant.role)}",
                sql=statement,
                transient=error.transient,
            ) from error
    if declared or before:
        text = _text(_DECLARED + json.dumps(_facts(declared))) if declared else "NULL"
        await raw.execute(f"COMMENT ON TYPE {name} IS {text}")


def options_text(options: Iterable[str]) -> str:
    """As they stand in brackets behind WITH or SET."""
    pairs = (option.partition("=") for option in options)
    return ", ".join(f"{quote_identifier(key)} = {_text(value)}" for key, _, value in pairs)


async def _on_columns(raw: Any, oid: int, grants: Collection[Grant]) -> list[Grant]:
    """Those on columns that are still there."""
    if all(grant.column is None for grant in grants):
        return _sorted(grants)
    columns = await _columns(raw, oid)
    return _sorted(grant for grant in grants if grant.column is None or grant.column in columns)


async def _columns(raw: Any, oid: int) -> set[str]:
    return {name for (name,) in await raw.fetch(_COLUMNS, oid)}


def _sorted(grants: Iterable[Grant]) -> list[Grant]:
    return sorted(grants, key=lambda grant: (grant.role, grant.privilege, grant.column or "", grant.grantable))


def _role(role: str) -> str:
    return "PUBLIC" if role.lower() == "public" else quote_identifier(role)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _facts(grants: Iterable[Grant]) -> list[list[str]]:
    return [[grant.privilege, grant.role] for grant in _sorted(grants)]


def _parsed(comment: str | None) -> frozenset[Grant]:
    """Of a comment that is not ours, nothing."""
    if comment is None or not comment.startswith(_DECLARED):
        return frozenset()
    try:
        return frozenset(Grant(role=role, privilege=key) for key, role in json.loads(comment.removeprefix(_DECLARED)))
    except (ValueError, TypeError):
        return frozenset()
