"""`resource(...)`: a component declares a noun; the model says what its Describe, List and Delete look like.

A resource is one row with one JSON document. The document holds exactly what Describe answers, in wire form, so that
a Describe is a read and nothing else; what AWS does not show stands in `hidden`. A handler that a component writes replaces
the derived one of the same name.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import orjson
from sqlalchemy import bindparam, delete, insert, select, update
from sqlalchemy.dialects import postgresql

from api_specs import model
from backends.core import arn as arns
from backends.core import errors, listing, tags
from backends.core.operation import Operation
from backends.core.prepared import Prepared
from backends.core.tables import resources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from backends.core.context import Context
    from backends.core.lifecycle import Machine

_SCOPE = (
    (resources.c.kind == bindparam("kind"))
    & (resources.c.account == bindparam("account"))
    & (resources.c.region == bindparam("region"))
)
_ROW = select(
    resources.c.id,
    resources.c.key,
    resources.c.arn,
    resources.c.status,
    resources.c.created,
    resources.c.version,
    resources.c.document,
    resources.c.hidden,
    resources.c.kind,
)
_BY_KEY = Prepared(_ROW.where(_SCOPE, resources.c.key == bindparam("key")))
_DOCUMENT = Prepared(select(resources.c.document).where(_SCOPE, resources.c.key == bindparam("key")))
# By ARN alone, which names account and region: given those too, SQLite walks all of the account's rows instead.
_BY_ARN = Prepared(_ROW.where(resources.c.arn == bindparam("arn")))
_STORED = ("kind", "account", "region", "key", "arn", "status", "created", "modified", "version", "document", "hidden")
_INSERT = Prepared(insert(resources).returning(resources.c.id), _STORED)
# On PostgreSQL a name can be taken between check and insert; asked so, it waits for the other to commit or to give up.
_INSERT_SHARED = Prepared(postgresql.insert(resources).on_conflict_do_nothing().returning(resources.c.id))
_UPDATE = update(resources).where(resources.c.id == bindparam("row_id"), resources.c.version == bindparam("seen"))
_DELETE = delete(resources).where(resources.c.id == bindparam("row_id"))


@dataclass(frozen=True, slots=True)
class Row:
    """One stored resource. `document` is what Describe answers; `hidden` is the component's own."""

    id: int
    key: str
    arn: str
    status: str
    created: float
    version: int
    document: dict[str, Any]
    hidden: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Resource:
    """One noun of SageMaker, as its component declares it."""

    noun: str
    arn_path: str
    machine: Machine | None = None
    status_member: str = ""
    exists: str = ""
    lower_arn: bool = True
    order: str = "Descending"
    pages_before_status: bool = False
    derives: tuple[str, ...] = ("Describe", "List", "Delete")

    @property
    def name_member(self) -> str:
        """The member that names a resource in Describe's request."""
        return model.key_members(self.noun)[0]

    @property
    def arn_member(self) -> str:
        """The member that carries the resource's ARN."""
        return f"{self.noun}Arn"

    def arn_of(self, cx: Context, name: str) -> str:
        """Return the ARN of a name in the caller's account and region."""
        path = f"{self.arn_path}/{name.lower() if self.lower_arn else name}"
        return arns.make("sagemaker", cx.region, cx.account, path)

    def not_found(self, cx: Context, name: str) -> errors.AwsError:
        """Return the error of a missing resource, as the table of the real service's answers has it."""
        known = model.not_found(self.noun)
        return errors.AwsError(known["code"], known["text"].format(arn=self.arn_of(cx, name), name=name))

    def duplicate(self, row_arn: str, name: str) -> errors.AwsError:
        """Return the error of a name that is taken, by the code its Create declares."""
        text = self.exists.format(arn=row_arn, name=name)
        if model.declares_error(f"Create{self.noun}", "ResourceInUse"):
            return errors.in_use(text)
        return errors.validation(text)

    def find(self, cx: Context, name: str) -> Row | None:
        """Read a row by name, or None."""
        row = _BY_KEY.row(cx.transaction, self._scope(cx, key=name))
        return _row(row) if row is not None else None

    def get(self, cx: Context, name: str) -> Row:
        """Read a row by name; raise AWS's error when there is none."""
        row = self.find(cx, name)
        if row is None:
            raise self.not_found(cx, name)
        return row

    def find_arn(self, cx: Context, arn: str) -> Row | None:
        """Read a row by ARN, or None."""
        rows = _BY_ARN.rows(cx.transaction, {"arn": arn})
        return next((_row(row) for row in rows if row[-1] == self.noun), None)

    def document_bytes(self, cx: Context, name: str) -> bytes:
        """Read the document as stored: Describe's answer, ready to send."""
        row = _DOCUMENT.row(cx.transaction, self._scope(cx, key=name))
        if row is None:
            raise self.not_found(cx, name)
        document: bytes = row[0]
        return document

    def check_free(self, cx: Context, name: str) -> None:
        """Raise AWS's error when the name is taken (ARNs fold case, so names that differ in case clash)."""
        arn = self.arn_of(cx, name)
        if any(row[-1] == self.noun for row in _BY_ARN.rows(cx.transaction, {"arn": arn})):
            raise self.duplicate(arn, name)

    def insert(
        self,
        cx: Context,
        name: str,
        members: Mapping[str, Any],
        *,
        status: str = "",
        hidden: dict[str, Any] | None = None,
        tag_list: Sequence[Any] | None = None,
    ) -> Row:
        """Store a new resource: those of `members` that Describe knows, its ARN, its times and its status."""
        self.check_free(cx, name)
        now, arn = cx.clock.now(), self.arn_of(cx, name)
        shown = model.output_members(f"Describe{self.noun}")
        document = {k: v for k, v in members.items() if k in shown}
        document[self.arn_member] = arn
        for member in ("CreationTime", "LastModifiedTime"):
            if member in shown:
                document[member] = now
        if self.status_member:
            document[self.status_member] = status
        stored = self._scope(cx, key=name) | {
            "arn": arn,
            "status": status,
            "created": now,
            "modified": now,
            "version": 1,
            "document": orjson.dumps(document),
            "hidden": orjson.dumps(hidden) if hidden else None,
        }
        made = (_INSERT_SHARED if cx.db.dialect.name == "postgresql" else _INSERT).row(cx.transaction, stored)
        if made is None:  # another transaction has taken the name since the check
            raise self.duplicate(arn, name)
        row_id: int = made[0]
        if tag_list:
            tags.put(cx, arn, tag_list)
        return Row(row_id, name, arn, status, now, 1, document, hidden or {})

    def update(
        self,
        cx: Context,
        row: Row,
        document: dict[str, Any],
        *,
        status: str | None = None,
        hidden: dict[str, Any] | None = None,
    ) -> Row:
        """Write a changed document; raise ConflictException when somebody else changed the row since it was read."""
        now = cx.clock.now()
        if "LastModifiedTime" in document:
            document = {**document, "LastModifiedTime": now}
        hidden = row.hidden if hidden is None else hidden
        new = replace(
            row, document=document, status=row.status if status is None else status, hidden=hidden,
            version=row.version + 1,
        )  # fmt: skip
        values = {
            "row_id": row.id,
            "seen": row.version,
            "document": orjson.dumps(document),
            "hidden": orjson.dumps(hidden) if hidden else None,
            "status": new.status,
            "modified": now,
            "version": new.version,
        }
        if cx.db.execute(_UPDATE, values).rowcount != 1:
            raise errors.conflict(f"{row.arn} was changed by another request; try again.")
        return new

    def delete(self, cx: Context, row: Row) -> None:
        """Remove a row and its tags."""
        cx.db.execute(_DELETE, {"row_id": row.id})
        tags.remove_all(cx, row.arn)

    def operations(self) -> Iterator[Operation]:
        """Yield the operations that the model lets us derive."""
        derived = {
            f"Describe{self.noun}": self._describe,
            model.list_operation(self.noun): self._list,
            f"Delete{self.noun}": self._delete,
        }
        for name, handler in derived.items():
            verb = next((v for v in ("Describe", "List", "Delete") if name and name.startswith(v)), "")
            if name and verb in self.derives and model.has_operation(name):
                yield Operation("sagemaker", name, handler, reads=verb != "Delete", waits=False)

    def _describe(self, cx: Context, request: dict[str, Any]) -> bytes:
        return self.document_bytes(cx, request[self.name_member])

    def _list(self, cx: Context, request: dict[str, Any]) -> dict[str, Any]:
        return listing.page(cx, self, request)

    def _delete(self, cx: Context, request: dict[str, Any]) -> dict[str, Any]:
        self.delete(cx, self.get(cx, request[self.name_member]))
        return {}

    def _scope(self, cx: Context, **more: Any) -> dict[str, Any]:
        return {"kind": self.noun, "account": cx.account, "region": cx.region, **more}


def _row(values: Any) -> Row:
    row_id, key, arn, status, created, version, document, hidden, _kind = values
    return Row(
        row_id, key, arn, status, created, version, orjson.loads(document), orjson.loads(hidden) if hidden else {}
    )


def resource(noun: str, **declared: Any) -> Resource:
    """Declare a noun of the model for the component that calls this; see `Resource` for what can be declared."""
    return Resource(noun, **declared)
