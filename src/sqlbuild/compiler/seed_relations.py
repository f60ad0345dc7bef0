"""Where the table of a seed is."""

from __future__ import annotations

from sqlbuild.domain.ids import Relation
from sqlbuild.domain.nodes import Seed
from sqlbuild.domain.settings import Target


def relation_of_seed(seed: Seed, target: Target) -> Relation:
    return Relation(seed.database or target.database, seed.schema or target.schema, seed.name)
