"""The tables of the main job: connections, runs, records, contacts, consents, scenarios, the outbox."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ID = sa.String(36).with_variant(postgresql.UUID(as_uuid=False), "postgresql")
JSON = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
TIME = sa.DateTime(timezone=True)
BIG_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

SQLITE_MAKE = [
    f"CREATE TRIGGER consent_act_no_{verb.lower()} BEFORE {verb} ON consent_act "
    "BEGIN SELECT RAISE(ABORT, 'the consent ledger is append-only'); END"
    for verb in ("UPDATE", "DELETE")
]
POSTGRES_MAKE = [
    (
        "CREATE FUNCTION consent_act_append_only() RETURNS trigger LANGUAGE plpgsql AS $$ "
        "BEGIN RAISE EXCEPTION 'the consent ledger is append-only'; END $$"
    ),
    (
        "CREATE TRIGGER consent_act_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON consent_act "
        "FOR EACH STATEMENT EXECUTE FUNCTION consent_act_append_only()"
    ),
]


def make_ledger_append_only() -> None:
    for statement in SQLITE_MAKE if op.get_bind().dialect.name == "sqlite" else POSTGRES_MAKE:
        op.execute(statement)


def free_ledger() -> None:
    """On SQLite the triggers go with their table."""
    if op.get_bind().dialect.name != "sqlite":
        op.execute("DROP TRIGGER consent_act_append_only ON consent_act")
        op.execute("DROP FUNCTION consent_act_append_only()")


def upgrade() -> None:
    op.create_table(
        "connection",
        sa.Column("id", ID, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("platform", sa.String(length=40), nullable=False),
        sa.Column("account_id", sa.String(length=255), nullable=False),
        sa.Column("account_name", sa.String(length=255), nullable=False),
        sa.Column("options", JSON, nullable=False),
        sa.Column("facts", JSON, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("error", JSON, nullable=True),
        sa.Column("next_sync_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_connection")),
        sa.UniqueConstraint("name", name=op.f("uq_connection_name")),
        sa.UniqueConstraint("platform", "account_id", name=op.f("uq_connection_platform")),
    )
    op.create_table(
        "consent_act",
        sa.Column("seq", BIG_KEY, autoincrement=True, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("topic", sa.String(length=60), nullable=False),
        sa.Column("brand", sa.String(length=60), nullable=False),
        sa.Column("act", sa.String(length=10), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("recorded_at", TIME, nullable=False),
        sa.Column("source", sa.String(length=120), nullable=False),
        sa.Column("source_ref", sa.String(length=300), nullable=False),
        sa.Column("evidence", JSON, nullable=False),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_consent_act")),
        sa.UniqueConstraint("source_ref", name=op.f("uq_consent_act_source_ref")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("consent_act", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_consent_act_contact_id"), ["contact_id"], unique=False)

    op.create_table(
        "consent_state",
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("topic", sa.String(length=60), nullable=False),
        sa.Column("brand", sa.String(length=60), nullable=False),
        sa.Column("act", sa.String(length=10), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("contact_id", "channel", "topic", "brand", name=op.f("pk_consent_state")),
    )
    op.create_table(
        "contact",
        sa.Column("id", ID, nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("phone", sa.String(length=20), nullable=True),
        sa.Column("first_name", sa.Text(), nullable=True),
        sa.Column("last_name", sa.Text(), nullable=True),
        sa.Column("company", sa.Text(), nullable=True),
        sa.Column("city", sa.Text(), nullable=True),
        sa.Column("postcode", sa.Text(), nullable=True),
        sa.Column("country", sa.String(length=2), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_contact")),
    )
    op.create_table(
        "segment",
        sa.Column("id", ID, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("definition", JSON, nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_segment")),
        sa.UniqueConstraint("key", name=op.f("uq_segment_key")),
    )
    op.create_table(
        "suppression",
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("address", sa.String(length=254), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("channel", "address", name=op.f("pk_suppression")),
    )
    op.create_table(
        "checkpoint",
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("stream", sa.String(length=80), nullable=False),
        sa.Column("cursor", JSON, nullable=True),
        sa.Column("dictionary", sa.String(length=80), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name=op.f("fk_checkpoint_connection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("connection_id", "stream", name=op.f("pk_checkpoint")),
    )
    op.create_table(
        "identifier",
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("value", sa.String(length=254), nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_identifier_contact_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("kind", "value", name=op.f("pk_identifier")),
    )
    with op.batch_alter_table("identifier", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_identifier_contact_id"), ["contact_id"], unique=False)

    op.create_table(
        "outbox",
        sa.Column("id", ID, nullable=False),
        sa.Column("effect", sa.String(length=30), nullable=False),
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("lane", sa.String(length=10), nullable=False),
        sa.Column("detail", sa.String(length=120), nullable=False),
        sa.Column("gate", JSON, nullable=False),
        sa.Column("idempotency_key", sa.String(length=200), nullable=False),
        sa.Column("evaluation_id", ID, nullable=True),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("not_before", TIME, nullable=True),
        sa.Column("claimed_by", sa.String(length=64), nullable=True),
        sa.Column("claimed_until", TIME, nullable=True),
        sa.Column("outcome", sa.String(length=12), nullable=True),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("settled_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_outbox_connection_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_outbox")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_outbox_idempotency_key")),
    )
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_outbox_contact_id"), ["contact_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_outbox_evaluation_id"), ["evaluation_id"], unique=False)
        batch_op.create_index(
            "ix_outbox_held",
            ["connection_id", "contact_id"],
            unique=False,
            sqlite_where=sa.text("state = 'held'"),
            postgresql_where=sa.text("state = 'held'"),
        )
        batch_op.create_index(
            "ix_outbox_open",
            ["lane", "connection_id", "effect", "detail", "id"],
            unique=False,
            sqlite_where=sa.text("state IN ('owed', 'claimed')"),
            postgresql_where=sa.text("state IN ('owed', 'claimed')"),
        )
        batch_op.create_index("ix_outbox_started", ["effect", "detail", "settled_at"], unique=False)

    op.create_table(
        "pause",
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("until", TIME, nullable=False),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_pause_contact_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("contact_id", "channel", name=op.f("pk_pause")),
    )
    op.create_table(
        "quarantine",
        sa.Column("id", ID, nullable=False),
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("direction", sa.String(length=3), nullable=False),
        sa.Column("stream", sa.String(length=80), nullable=False),
        sa.Column("external_id", sa.String(length=120), nullable=False),
        sa.Column("field", sa.String(length=200), nullable=False),
        sa.Column("whole", sa.Boolean(), nullable=False),
        sa.Column("code", sa.String(length=60), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("cure", sa.Text(), nullable=False),
        sa.Column("value_class", sa.String(length=200), nullable=False),
        sa.Column("raw", JSON, nullable=True),
        sa.Column("run_id", ID, nullable=True),
        sa.Column("first_at", TIME, nullable=False),
        sa.Column("last_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name=op.f("fk_quarantine_connection_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("connection_id", "direction", "stream", "external_id", "field", name="uq_quarantine_place"),
    )
    op.create_table(
        "record",
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("stream", sa.String(length=80), nullable=False),
        sa.Column("external_id", sa.String(length=120), nullable=False),
        sa.Column("contact_id", ID, nullable=True),
        sa.Column("raw_hash", sa.String(length=32), nullable=True),
        sa.Column("standard", JSON, nullable=True),
        sa.Column("changed_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_record_connection_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_record_contact_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("connection_id", "stream", "external_id", name=op.f("pk_record")),
    )
    with op.batch_alter_table("record", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_record_contact_id"), ["contact_id"], unique=False)

    op.create_table(
        "remote",
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("external_id", sa.String(length=120), nullable=False),
        sa.Column("pushed_hash", sa.String(length=32), nullable=False),
        sa.Column("pushed_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_remote_connection_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_remote_contact_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("connection_id", "contact_id", name=op.f("pk_remote")),
    )
    with op.batch_alter_table("remote", schema=None) as batch_op:
        batch_op.create_index("ix_remote_external_id", ["connection_id", "external_id"], unique=False)

    op.create_table(
        "run",
        sa.Column("id", ID, nullable=False),
        sa.Column("group_id", ID, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("stream", sa.String(length=80), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("read", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created", sa.Integer(), server_default="0", nullable=False),
        sa.Column("updated", sa.Integer(), server_default="0", nullable=False),
        sa.Column("unchanged", sa.Integer(), server_default="0", nullable=False),
        sa.Column("quarantined", sa.Integer(), server_default="0", nullable=False),
        sa.Column("batches", sa.Integer(), server_default="0", nullable=False),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column("seconds", sa.Float(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", JSON, nullable=True),
        sa.Column("not_before", TIME, nullable=True),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("claims", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("started_at", TIME, nullable=True),
        sa.Column("finished_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_run_connection_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
    )
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.create_index("ix_run_created_at", ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_run_group_id"), ["group_id"], unique=False)
        batch_op.create_index("ix_run_state", ["state"], unique=False)
        batch_op.create_index(
            "uq_run_open",
            ["connection_id", "stream"],
            unique=True,
            sqlite_where=sa.text("state IN ('queued', 'running', 'waiting')"),
            postgresql_where=sa.text("state IN ('queued', 'running', 'waiting')"),
        )

    op.create_table(
        "scenario",
        sa.Column("id", ID, nullable=False),
        sa.Column("key", sa.String(length=80), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("segment_id", ID, nullable=False),
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("channel", sa.String(length=10), nullable=False),
        sa.Column("topic", sa.String(length=60), nullable=False),
        sa.Column("brand", sa.String(length=60), nullable=False),
        sa.Column("automation", sa.String(length=120), nullable=False),
        sa.Column("list_id", sa.String(length=60), nullable=True),
        sa.Column("starts_per_minute", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name=op.f("fk_scenario_connection_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["segment_id"], ["segment.id"], name=op.f("fk_scenario_segment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scenario")),
        sa.UniqueConstraint("key", name=op.f("uq_scenario_key")),
    )
    op.create_table(
        "secret",
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("name", sa.String(length=40), nullable=False),
        sa.Column("key_id", sa.String(length=16), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connection.id"], name=op.f("fk_secret_connection_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("connection_id", "name", name=op.f("pk_secret")),
    )
    op.create_table(
        "shop_order",
        sa.Column("connection_id", ID, nullable=False),
        sa.Column("external_id", sa.String(length=120), nullable=False),
        sa.Column("contact_id", ID, nullable=True),
        sa.Column("number", sa.String(length=120), nullable=False),
        sa.Column("status", sa.String(length=60), nullable=False),
        sa.Column("paid", sa.Boolean(), nullable=False),
        sa.Column("guest", sa.Boolean(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=True),
        sa.Column("placed_at", TIME, nullable=False),
        sa.Column("paid_at", TIME, nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total", sa.BigInteger(), nullable=False),
        sa.Column("refunded", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["connection_id"], ["connection.id"], name=op.f("fk_shop_order_connection_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["contact_id"], ["contact.id"], name=op.f("fk_shop_order_contact_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("connection_id", "external_id", name=op.f("pk_shop_order")),
    )
    with op.batch_alter_table("shop_order", schema=None) as batch_op:
        batch_op.create_index("ix_shop_order_contact_id", ["contact_id", "paid", "paid_at"], unique=False)
        batch_op.create_index("ix_shop_order_paid_at", ["paid_at"], unique=False)

    op.create_table(
        "batch",
        sa.Column("run_id", ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("read", sa.Integer(), nullable=False),
        sa.Column("created", sa.Integer(), nullable=False),
        sa.Column("updated", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name=op.f("fk_batch_run_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("run_id", "number", name=op.f("pk_batch")),
    )
    op.create_table(
        "evaluation",
        sa.Column("id", ID, nullable=False),
        sa.Column("scenario_id", ID, nullable=False),
        sa.Column("scenario_version", sa.Integer(), nullable=False),
        sa.Column("segment_version", sa.Integer(), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("after_contact", ID, nullable=True),
        sa.Column("considered", sa.Integer(), server_default="0", nullable=False),
        sa.Column("allowed", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", JSON, nullable=True),
        sa.Column("lease_owner", sa.String(length=64), nullable=True),
        sa.Column("lease_until", TIME, nullable=True),
        sa.Column("claims", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("finished_at", TIME, nullable=True),
        sa.ForeignKeyConstraint(["scenario_id"], ["scenario.id"], name=op.f("fk_evaluation_scenario_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_evaluation")),
    )
    with op.batch_alter_table("evaluation", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_evaluation_scenario_id"), ["scenario_id"], unique=False)
        batch_op.create_index(
            "uq_evaluation_open",
            ["scenario_id"],
            unique=True,
            sqlite_where=sa.text("state IN ('queued', 'running', 'waiting')"),
            postgresql_where=sa.text("state IN ('queued', 'running', 'waiting')"),
        )

    op.create_table(
        "decision",
        sa.Column("evaluation_id", ID, nullable=False),
        sa.Column("contact_id", ID, nullable=False),
        sa.Column("allowed", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(length=40), nullable=False),
        sa.Column("at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["evaluation_id"], ["evaluation.id"], name=op.f("fk_decision_evaluation_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("evaluation_id", "contact_id", name=op.f("pk_decision")),
    )
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.create_index("ix_decision_reason", ["evaluation_id", "reason"], unique=False)

    make_ledger_append_only()


def downgrade() -> None:
    free_ledger()
    with op.batch_alter_table("decision", schema=None) as batch_op:
        batch_op.drop_index("ix_decision_reason")

    op.drop_table("decision")
    with op.batch_alter_table("evaluation", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_evaluation_open",
            sqlite_where=sa.text("state IN ('queued', 'running', 'waiting')"),
            postgresql_where=sa.text("state IN ('queued', 'running', 'waiting')"),
        )
        batch_op.drop_index(batch_op.f("ix_evaluation_scenario_id"))

    op.drop_table("evaluation")
    op.drop_table("batch")
    with op.batch_alter_table("shop_order", schema=None) as batch_op:
        batch_op.drop_index("ix_shop_order_paid_at")
        batch_op.drop_index("ix_shop_order_contact_id")

    op.drop_table("shop_order")
    op.drop_table("secret")
    op.drop_table("scenario")
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_run_open",
            sqlite_where=sa.text("state IN ('queued', 'running', 'waiting')"),
            postgresql_where=sa.text("state IN ('queued', 'running', 'waiting')"),
        )
        batch_op.drop_index("ix_run_state")
        batch_op.drop_index(batch_op.f("ix_run_group_id"))
        batch_op.drop_index("ix_run_created_at")

    op.drop_table("run")
    with op.batch_alter_table("remote", schema=None) as batch_op:
        batch_op.drop_index("ix_remote_external_id")

    op.drop_table("remote")
    with op.batch_alter_table("record", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_record_contact_id"))

    op.drop_table("record")
    op.drop_table("quarantine")
    op.drop_table("pause")
    with op.batch_alter_table("outbox", schema=None) as batch_op:
        batch_op.drop_index("ix_outbox_started")
        batch_op.drop_index(
            "ix_outbox_open",
            sqlite_where=sa.text("state IN ('owed', 'claimed')"),
            postgresql_where=sa.text("state IN ('owed', 'claimed')"),
        )
        batch_op.drop_index(
            "ix_outbox_held", sqlite_where=sa.text("state = 'held'"), postgresql_where=sa.text("state = 'held'")
        )
        batch_op.drop_index(batch_op.f("ix_outbox_evaluation_id"))
        batch_op.drop_index(batch_op.f("ix_outbox_contact_id"))

    op.drop_table("outbox")
    with op.batch_alter_table("identifier", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_identifier_contact_id"))

    op.drop_table("identifier")
    op.drop_table("checkpoint")
    op.drop_table("suppression")
    op.drop_table("segment")
    op.drop_table("contact")
    op.drop_table("consent_state")
    with op.batch_alter_table("consent_act", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_consent_act_contact_id"))

    op.drop_table("consent_act")
    op.drop_table("connection")
