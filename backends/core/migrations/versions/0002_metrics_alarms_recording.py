"""CloudWatch: units and statistic sets of points, the history of alarms; and what moto was asked."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

# SQLite numbers rows by itself only for INTEGER; PostgreSQL would run out of it.
ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
METRIC = ("account", "region", "namespace", "name", "dimensions", "time")
BY_METRIC = "ix_metric_points_account_region_namespace_name_dimensions_time"


def upgrade() -> None:
    """Make `metric_points` anew, which SQLite can only do by copying, and the new tables."""
    op.drop_index(op.f(BY_METRIC), "metric_points")
    op.rename_table("metric_points", "metric_points_before")
    if op.get_bind().dialect.name == "postgresql":  # there these names do not follow the table's
        op.execute("ALTER INDEX metric_points_pkey RENAME TO metric_points_before_pkey")
        op.execute("ALTER SEQUENCE metric_points_id_seq RENAME TO metric_points_before_id_seq")
    _make_points()
    names = ", ".join((*METRIC, "value"))
    op.execute(
        f"INSERT INTO metric_points ({names}, unit, samples) SELECT {names}, 'None', 1 FROM metric_points_before"  # noqa: S608
    )
    op.drop_table("metric_points_before")
    _make_alarm_history()
    _make_recording()


def _make_points() -> None:
    op.create_table(
        "metric_points",
        sa.Column("id", ROW_ID, primary_key=True),
        *(sa.Column(name, sa.Text(), nullable=False) for name in METRIC[:-1]),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("unit", sa.Text(), nullable=False),
        sa.Column("value", sa.Double(), nullable=False),
        sa.Column("samples", sa.Double(), nullable=False),
        sa.Column("total", sa.Double()),
        sa.Column("minimum", sa.Double()),
        sa.Column("maximum", sa.Double()),
    )
    op.create_index(op.f(BY_METRIC), "metric_points", METRIC)
    op.create_index(op.f("ix_metric_points_time"), "metric_points", ["time"])


def _make_alarm_history() -> None:
    op.create_table(
        "alarm_history",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("alarm", sa.Text(), nullable=False),
        sa.Column("alarm_type", sa.Text(), nullable=False),
        sa.Column("item_type", sa.Text(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("summary", sa.Text(), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
    )
    op.create_index(
        op.f("ix_alarm_history_account_region_time_id"), "alarm_history", ["account", "region", "time", "id"]
    )


def _make_recording() -> None:
    op.create_table(
        "moto_requests",
        sa.Column("id", ROW_ID, primary_key=True),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("pending", sa.Boolean(), nullable=False),
        sa.Column("head", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("kept", sa.LargeBinary()),
    )


def downgrade() -> None:
    """Drop the new tables; points keep their new columns."""
    op.drop_table("moto_requests")
    op.drop_table("alarm_history")
