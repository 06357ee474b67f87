"""The first layout."""

import sqlalchemy as sa
from alembic import op

from tunewright.store.tables import KeyText

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    _jobs()
    _trials()
    _values()
    _around()


def _jobs() -> None:
    op.create_table(
        "spec",
        sa.Column("uid", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        comment="What was asked for; stays as long as any of its training jobs does.",
    )
    op.create_table(
        "job",
        sa.Column("uid", sa.Text, sa.ForeignKey("spec.uid"), primary_key=True),
        sa.Column("name_key", KeyText, nullable=False),
        sa.Column("tuning", sa.Boolean, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("running", sa.Boolean, nullable=False),
        sa.Column("updated", sa.Double, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        comment="A tuning job, or a plain training job (tuning false), but for its spec and its live trials.",
    )
    op.create_index("job_name", "job", ["tuning", "name_key"], unique=True)
    op.create_index("job_running", "job", ["running", "created", "uid"])
    op.create_index("job_created", "job", ["tuning", "created", "name_key"])


def _trials() -> None:
    op.create_table(
        "trial",
        sa.Column("job_uid", sa.Text, sa.ForeignKey("spec.uid"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("name_key", KeyText, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("live", sa.Boolean, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("modified", sa.Double, nullable=False),
        sa.Column("final", sa.Double),
        sa.Column("body", sa.Text, nullable=False),
        comment="A training job. `attempt` is the one that its curve began with. Live ones are not terminal."
        " `final` is its objective when it counts.",
    )
    op.create_index("trial_name", "trial", ["name_key"], unique=True)
    op.create_index("trial_live", "trial", ["job_uid", "live", "number"])
    op.create_index("trial_of_job_name", "trial", ["job_uid", "name_key"])
    op.create_index("trial_of_job_created", "trial", ["job_uid", "created", "name_key"])
    op.create_index("trial_of_job_final", "trial", ["job_uid", "final", "name_key"])
    op.create_index("trial_created", "trial", ["created", "name_key"])


def _values() -> None:
    op.create_table(
        "curve",
        sa.Column("job_uid", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("attempt", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("mark", sa.Text),
        sa.Column("at", sa.Double, nullable=False),
        sa.ForeignKeyConstraint(["job_uid", "number"], ["trial.job_uid", "trial.number"]),
        sqlite_with_rowid=False,
        comment="Objective values by epoch. `mark` names a value that is not finite; `seq` is the order of emission.",
    )
    op.create_table(
        "point",
        sa.Column("job_uid", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("epoch", sa.BigInteger),
        sa.Column("metric", sa.Text, nullable=False),
        sa.Column("value", sa.Double),
        sa.Column("mark", sa.Text),
        sa.Column("at", sa.Double, nullable=False),
        sa.ForeignKeyConstraint(["job_uid", "number"], ["trial.job_uid", "trial.number"]),
        sqlite_with_rowid=False,
        comment="Values of all other metrics, in order of emission.",
    )


def _around() -> None:
    op.create_table(
        "journal",
        sa.Column("job_uid", sa.Text, sa.ForeignKey("job.uid"), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("body", sa.Text, nullable=False),
        sqlite_with_rowid=False,
        comment="Every event, in order of commit; folding them gives the job.",
    )
    op.create_table(
        "lease",
        sa.Column("job_uid", sa.Text, sa.ForeignKey("job.uid"), primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
        sqlite_with_rowid=False,
        comment="Who runs a job, and until when nobody else may.",
    )
    op.create_table(
        "tag",
        sa.Column("job_uid", sa.Text, sa.ForeignKey("spec.uid"), primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sqlite_with_rowid=False,
        comment="Tags of a training job, or with number 0 of the tuning job.",
    )
