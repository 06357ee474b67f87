"""The tables, for SQLite and PostgreSQL alike.

What never changes (a job's specification, an event, a finished point) is apart from what changes at every
commit (a job's state, a live trial), so that a commit writes little whatever came before it. Bodies are JSON
as `codec` writes it; the columns beside them are what is searched, sorted and guarded.

A text named `*_key` is lower case and compared by code point in both databases: names are unique and sorted
without regard to case.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import SchemaItem
from sqlalchemy.sql.compiler import TypeCompiler


class KeyText(Text):
    """Text ordered by code point, whatever the database's own collation says."""


@compiles(KeyText, "postgresql")
def _postgresql(_type: KeyText, _compiler: TypeCompiler, **_: object) -> str:
    return 'TEXT COLLATE "C"'


metadata = MetaData()

spec = Table(
    "spec",
    metadata,
    Column("uid", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("body", Text, nullable=False),
    comment="What was asked for; stays as long as any of its training jobs does.",
)

job = Table(
    "job",
    metadata,
    Column("uid", Text, ForeignKey("spec.uid"), primary_key=True),
    Column("name_key", KeyText, nullable=False),
    Column("tuning", Boolean, nullable=False),
    Column("created", Double, nullable=False),
    Column("status", Text, nullable=False),
    Column("running", Boolean, nullable=False),
    Column("updated", Double, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Index("job_name", "tuning", "name_key", unique=True),
    Index("job_running", "running", "created", "uid"),
    Index("job_created", "tuning", "created", "name_key"),
    Index("job_status", "tuning", "status", "name_key"),
    comment="A tuning job, or a plain training job (tuning false), but for its spec and its live trials.",
)

trial = Table(
    "trial",
    metadata,
    Column("job_uid", Text, ForeignKey("spec.uid"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("name_key", KeyText, nullable=False),
    Column("created", Double, nullable=False),
    Column("status", Text, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("modified", Double, nullable=False),
    Column("final", Double),
    Column("body", Text, nullable=False),
    Index("trial_name", "name_key", unique=True),
    Index("trial_live", "job_uid", "live", "number"),
    Index("trial_of_job_name", "job_uid", "name_key"),
    Index("trial_of_job_created", "job_uid", "created", "name_key"),
    Index("trial_of_job_final", "job_uid", "final", "name_key"),
    Index("trial_of_job_status", "job_uid", "status", "name_key"),
    Index("trial_created", "created", "name_key"),
    Index("trial_status", "status", "name_key"),
    comment="A training job. `attempt` is the one that its curve began with. Live ones are not terminal."
    " `final` is its objective when it counts.",
)

DELETED = "Deleting"
"""The status column of a trial that was dropped while its tuning job is still there: nobody sees it any more, its
name is free, and the strategies go on with what it brought."""


def _of_trial() -> tuple[Column[str], Column[int]]:
    """The first part of the key of what a trial emitted."""
    return (
        Column("job_uid", Text, primary_key=True),
        Column("number", Integer, primary_key=True, autoincrement=False),
    )


def _observed() -> tuple[SchemaItem, ...]:
    """One value of one metric of a trial."""
    return (
        Column("metric", Text, nullable=False),
        Column("value", Double),
        Column("mark", Text),
        Column("at", Double, nullable=False),
        ForeignKeyConstraint(["job_uid", "number"], ["trial.job_uid", "trial.number"]),
    )


curve = Table(
    "curve",
    metadata,
    *_of_trial(),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", BigInteger, nullable=False),
    *_observed(),
    sqlite_with_rowid=False,
    comment="Objective values by epoch. `mark` names a value that is not finite; `seq` is the order of emission.",
)

point = Table(
    "point",
    metadata,
    *_of_trial(),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("attempt", Integer, nullable=False),
    Column("epoch", BigInteger),
    *_observed(),
    sqlite_with_rowid=False,
    comment="Values of all other metrics, in order of emission.",
)

journal = Table(
    "journal",
    metadata,
    Column("job_uid", Text, ForeignKey("job.uid"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("body", Text, nullable=False),
    sqlite_with_rowid=False,
    comment="Every event, in order of commit; folding them gives the job.",
)

lease = Table(
    "lease",
    metadata,
    Column("job_uid", Text, ForeignKey("job.uid"), primary_key=True),
    Column("owner", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("expires", Double, nullable=False),
    sqlite_with_rowid=False,
    comment="Who runs a job, and until when nobody else may.",
)

tag = Table(
    "tag",
    metadata,
    Column("job_uid", Text, ForeignKey("spec.uid"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    sqlite_with_rowid=False,
    comment="Tags of a training job, or with number 0 of the tuning job.",
)
