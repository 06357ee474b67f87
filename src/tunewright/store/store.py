"""`SqlStore`: the durable memory behind `core.ports.Store`. Every commit is one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Engine
from sqlalchemy.engine.interfaces import DBAPICursor

from tunewright.core.change import Change
from tunewright.core.errors import AlreadyExists, NotFound, StaleVersion
from tunewright.core.events import Event
from tunewright.core.history import History
from tunewright.core.job import Job, standing
from tunewright.core.ports import Owner, Stored
from tunewright.core.spec import JobSpec
from tunewright.store.database import fetched, open_database, reading, writing
from tunewright.store.history import read_history
from tunewright.store.rows import (
    EVENT,
    MOST_SPECS,
    OWNER,
    SPEC,
    STATE,
    TRAINING_JOB,
    TRIAL,
    TUNING_JOB,
    Batch,
    key_of,
    tag_rows,
)
from tunewright.store.statements import Statements


def open_store(url: str) -> SqlStore:
    """The store at an SQLAlchemy URL; an empty database is laid out, an older one brought up to date.

    Raises:
        Invalid: the URL names no database that can be opened, or one of a newer Tunewright.
    """
    return SqlStore(open_database(url))


class SqlStore:
    """Jobs in a database. Safe to use from any thread, and from any number of processes on one database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._sql = Statements(engine.dialect)
        self._dbapi = engine.dialect.loaded_dbapi
        self._specs: dict[str, JobSpec] = {}

    def close(self) -> None:
        self.engine.dispose()

    # ---- jobs ----

    def create(self, change: Change, events: Sequence[Event], tags: Mapping[str, str]) -> Stored:
        job = change.job
        batch = Batch.of(1, [change], events)
        own = tag_rows(job.uid, 0 if job.spec.tuning else 1, tags)
        spec = {"uid": job.uid, "name": job.name, "body": SPEC.dumps(job.spec)}

        def work(cursor: DBAPICursor) -> None:
            self._sql.add_spec.run(cursor, spec)
            self._sql.add_job.run(cursor, batch.job)
            self._write_rows(cursor, batch)
            self._sql.add_tag.run_many(cursor, own)

        try:
            writing(self.engine, work)
        except self._dbapi.IntegrityError as error:
            if self._taken(job):
                raise AlreadyExists(TUNING_JOB if job.spec.tuning else TRAINING_JOB, job.name) from error
            raise
        return Stored(job, 1)

    def load(self, uid: str) -> Stored:
        rows = fetched(self.engine, self._sql.load, {"uid": uid})
        if not rows:
            raise NotFound(TUNING_JOB, uid)
        spec = self._spec(uid)
        trials = standing(TRIAL.loads(body) for *_, body in rows if body is not None)
        state, version = rows[0][0], rows[0][1]
        return Stored(STATE.loads(state, uid=uid, spec=spec, **trials), version)

    def find(self, name: str, *, tuning: bool) -> str:
        rows = fetched(self.engine, self._sql.find, {"tuning": tuning, "key": key_of(name)})
        if not rows:
            raise NotFound(TUNING_JOB if tuning else TRAINING_JOB, name)
        return str(rows[0][0])

    def commit(self, version: int, changes: Sequence[Change], events: Sequence[Event]) -> int:
        batch = Batch.of(version + 1, changes, events)
        job = batch.job
        move = {"of": job["uid"], "seen": version, **job}
        settle = {"of": job["uid"], "is_now": job["status"], **job}

        def work(cursor: DBAPICursor) -> None:
            if self._sql.move_job.run(cursor, move).rowcount != 1:
                raise StaleVersion(f"job {job['uid']} is not at version {version} any more")
            self._sql.settle_job.run(cursor, settle)
            self._write_rows(cursor, batch)

        writing(self.engine, work)
        return version + 1

    def versions(self) -> dict[str, int]:
        return dict(fetched(self.engine, self._sql.versions, {}))

    def delete(self, uid: str, version: int | None = None) -> None:
        """Drop a job; a tuning job's training jobs stay, a plain training job goes as a whole.

        Args:
            version: the version that it must still have; None for any.

        Raises:
            NotFound: no such job.
            StaleVersion: it has another version.
        """
        tuning = self.load(uid).job.spec.tuning

        def work(cursor: DBAPICursor) -> None:
            if version is not None and self._sql.hold.run(cursor, {"of": uid, "known": version}).rowcount != 1:
                raise StaleVersion(f"job {uid} is not at version {version} any more")
            for drop in self._sql.drop_job:
                drop.run(cursor, {"uid": uid})
            if not tuning:
                for drop in self._sql.drop_trials:
                    drop.run(cursor, {"uid": uid})
            for (number,) in self._sql.hidden.run(cursor, {"uid": uid}).fetchall():
                self._drop_trial(cursor, uid, number)
            self._sql.drop_own_tags.run(cursor, {"uid": uid, "number": 0})
            self._sql.drop_spec.run(cursor, {"uid": uid})

        writing(self.engine, work)

    def delete_trial(self, uid: str, number: int) -> None:
        """Drop an ended training job: hidden while its tuning job is there, which goes on with what it brought.

        Raises:
            NotFound: there is no such training job, it was dropped before, or it has not ended.
        """
        row = {"uid": uid, "number": number}

        def work(cursor: DBAPICursor) -> int:
            if self._sql.load.run(cursor, {"uid": uid}).fetchall():
                # No name has this sign, so that the key cannot be anybody's.
                freed = self._sql.hide_ended.run(cursor, {**row, "freed": f"#{uid}/{number}"}).rowcount
                self._sql.drop_trial[0].run(cursor, row)
                return freed
            dropped = self._drop_trial(cursor, uid, number)
            self._sql.drop_spec.run(cursor, {"uid": uid})
            return dropped

        if writing(self.engine, work) != 1:
            raise NotFound(TRAINING_JOB, f"{uid}/{number}")

    # ---- what happened ----

    def history(self, uid: str) -> History:
        """Raises NotFound."""
        spec = self._spec(uid)
        with reading(self.engine) as connection:
            return read_history(connection, uid, spec)

    def journal(self, uid: str) -> list[Event]:
        """Raises NotFound."""
        events = [EVENT.loads(body) for (body,) in fetched(self.engine, self._sql.journal, {"uid": uid})]
        if not events:
            raise NotFound(TUNING_JOB, uid)
        return events

    # ---- tags ----

    def tags(self, kind: str, name: str) -> dict[str, str]:
        return self._tags(*self._tagged(kind, name))

    def set_tags(self, kind: str, name: str, add: Mapping[str, str], remove: Sequence[str]) -> dict[str, str]:
        uid, number = self._tagged(kind, name)
        gone = [{"uid": uid, "number": number, "key": key} for key in remove]

        def work(cursor: DBAPICursor) -> None:
            self._sql.drop_tag.run_many(cursor, gone)
            self._sql.add_tag.run_many(cursor, tag_rows(uid, number, add))

        writing(self.engine, work)
        return self._tags(uid, number)

    # ---- leases ----

    def acquire(self, uid: str, owner: Owner, until: float, now: float, dead: Sequence[Owner]) -> bool:
        text = owner.text()
        row = {"job_uid": uid, "owner": text, "body": OWNER.dumps(owner), "expires": until, "now": now, "ours": text}

        def work(cursor: DBAPICursor) -> bool:
            # Only one can hold it, so that a few dead ones are asked for one by one.
            others = [other.text() for other in dead] or [text]
            return any(self._sql.acquire.run(cursor, {**row, "dead": other}).rowcount == 1 for other in others)

        try:
            return writing(self.engine, work)
        except self._dbapi.IntegrityError:
            return False

    def release(self, uid: str, owner: Owner) -> None:
        row = {"uid": uid, "owner": owner.text()}
        writing(self.engine, lambda cursor: self._sql.release.run(cursor, row))

    def lease(self, uid: str) -> tuple[Owner, float] | None:
        rows = fetched(self.engine, self._sql.lease, {"uid": uid})
        return (OWNER.loads(rows[0][0]), rows[0][1]) if rows else None

    # ---- within a transaction ----

    def _write_rows(self, cursor: DBAPICursor, batch: Batch) -> None:
        """Trials before what refers to them."""
        sql = self._sql
        sql.add_trial.run_many(cursor, batch.appeared)
        new = [{"uid": row["job_uid"], "number": row["number"]} for row in batch.appeared]
        sql.inherit_tags.run_many(cursor, new)
        moved = [_aimed(row) for row in batch.moved]
        sql.move_trial.run_many(cursor, moved)
        sql.settle_trial.run_many(cursor, moved)
        sql.end_trial.run_many(cursor, [_aimed(row) for row in batch.ended])
        sql.put_curve.run_many(cursor, batch.curve)
        sql.add_point.run_many(cursor, batch.points)
        sql.add_event.run_many(cursor, batch.journal)

    def _drop_trial(self, cursor: DBAPICursor, uid: str, number: int) -> int:
        """Drop a trial's rows; how many trials that were."""
        row = {"uid": uid, "number": number}
        for drop in self._sql.drop_trial:
            drop.run(cursor, row)
        return self._sql.drop_one.run(cursor, row).rowcount

    # ---- lookups ----

    def _spec(self, uid: str) -> JobSpec:
        """A job's specification, which never changes and is read once per process. Raises NotFound."""
        spec = self._specs.get(uid)
        if spec is None:
            rows = fetched(self.engine, self._sql.spec, {"uid": uid})
            if not rows:
                raise NotFound(TUNING_JOB, uid)
            if len(self._specs) >= MOST_SPECS:
                self._specs.clear()
            spec = self._specs[uid] = SPEC.loads(rows[0][0])
        return spec

    def _taken(self, job: Job) -> bool:
        """Whether another job, or for a plain training job another training job, has this name."""
        key = key_of(job.name)
        if fetched(self.engine, self._sql.find, {"tuning": job.spec.tuning, "key": key}):
            return True
        return not job.spec.tuning and bool(fetched(self.engine, self._sql.trial_of, {"key": key}))

    def _tagged(self, kind: str, name: str) -> tuple[str, int]:
        """Where a job's tags are kept. Raises NotFound."""
        if kind == "tuning":
            return self.find(name, tuning=True), 0
        rows = fetched(self.engine, self._sql.trial_of, {"key": key_of(name)})
        if not rows:
            raise NotFound(TRAINING_JOB, name)
        uid, number = rows[0]
        return uid, number

    def _tags(self, uid: str, number: int) -> dict[str, str]:
        return dict(fetched(self.engine, self._sql.tags, {"uid": uid, "number": number}))


def _aimed(row: Mapping[str, object]) -> dict[str, object]:
    """A trial's row with the names that an update finds it by."""
    return {**row, "of": row["job_uid"], "this": row["number"], "is_now": row["status"]}
