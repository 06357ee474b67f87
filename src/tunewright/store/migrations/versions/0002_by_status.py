"""Lists are sorted and filtered by status through indexes, in which Pending is InProgress as everybody sees it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(sa.text("UPDATE trial SET status = 'InProgress' WHERE status = 'Pending'"))
    op.create_index("job_status", "job", ["tuning", "status", "name_key"])
    op.create_index("trial_of_job_status", "trial", ["job_uid", "status", "name_key"])
    op.create_index("trial_status", "trial", ["status", "name_key"])
