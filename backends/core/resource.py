"""`resource(...)`: a component declares a noun; the model says what its operations look like (`derived.py`).

A resource is one row with one JSON document. The document holds exactly what Describe answers, in wire form, so that
a Describe is a read and nothing else; what AWS does not show stands in `hidden`. Every row has a key: the value of the
member that names it, or of several, with slashes between them (`d-1/alice`), so that a parent's key begins those of its
children. `insert` and `delete` write the events that a resource was created and deleted.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

from api_specs import model
from backends.core import arn as arns
from backends.core import errors, events, numbers, quotas, rows, tags, users
from backends.core.memory import InMemory
from backends.core.rows import Row
from backends.core.search.facets import ALL, Indexed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from backends.core.states import Machine
    from backends.core.types import Context

CREATED, DELETED = "Created", "Deleted"
"""The statuses of events about resources that have none themselves, and of every deletion."""


@dataclass(frozen=True, eq=False)
class Resource:
    """One noun of SageMaker, as its component declares it. What is not given is read off the model.

    `arn_path`: what stands before the key in the ARN (`training-job`), or the whole path with members in braces.
    `key`: the members that name one, in order; `A|B` where it is either. `numbered`: the last of them counts up from 1
    below its parent. `parent`: the noun whose key begins this one's; while there are children its Delete is refused with
    `in_use`, or, where that is empty, deletes them too. `machine`, `status_member`: its legal moves and where its status
    shows. `exists`: the sentence for a key that is taken, with `{arn}` and `{name}`; `stopped`: the one for a Stop of
    what has ended or a Start of what has not, with `{status}` too. `derives`: the verbs whose operations are derived where no handler is written.
    `filters`, `sorts`: of its List, a request's member or SortBy value to the path in the document, where the name alone
    does not say it; an empty path where the List's own handler looks at the member. `indexed`: facets that stand in
    the document in another form. `summary`: a summary's members whose names in the document differ. `times`: the members of
    its two times. `quota`: how many an account and region has. `awaits`: what must be built first (`notebooks`): until then
    Create answers 501 and says so, every other verb that there are none. `described_by`: for what has no Describe of its
    own (a version), the noun whose Describe shows it.
    """

    noun: str
    arn_path: str
    key: tuple[str, ...] = ()
    numbered: bool = False
    parent: Resource | None = None
    in_use: str = ""
    machine: Machine | None = None
    status_member: str = ""
    exists: str = "A {noun} with this name already exists: {arn}"
    stopped: str = "The request was rejected because {arn} is in status {status}."
    lower_arn: bool = True
    order: str = "Descending"
    pages_before_status: bool = False
    derives: tuple[str, ...] = ("Describe", "List", "Delete")
    filters: Mapping[str, str] = field(default_factory=dict)
    sorts: Mapping[str, str] = field(default_factory=dict)
    indexed: Callable[[Mapping[str, Any]], Iterable[tuple[str, Any]]] | None = None
    summary: Mapping[str, str] = field(default_factory=dict)
    times: tuple[str, str] = ("CreationTime", "LastModifiedTime")
    quota: int | None = None
    awaits: str = ""
    described_by: str = ""

    # -- names

    @property
    def describe(self) -> str:
        """The operation whose answer the document is."""
        return f"Describe{self.described_by or self.noun}"

    @cached_property
    def shown(self) -> tuple[str, ...]:
        """The members that the document has; of what another noun's Describe shows also its key."""
        return (*model.output_members(self.describe), *(self.key_members if self.described_by else ()))

    @cached_property
    def key_members(self) -> tuple[str, ...]:
        """The members that name one."""
        return self.key or model.key_members(self.noun)

    @property
    def name_member(self) -> str:
        """The member that names one among its siblings."""
        return self.key_members[-1].partition("|")[0]

    @cached_property
    def arn_member(self) -> str:
        """The member that carries the resource's ARN."""
        return "" if self.described_by else model.arn_member(self.noun)

    def key_of(self, members: Mapping[str, Any]) -> str:
        """Return the key that a request (or a document) names. ValidationException for one that lacks a part of it."""
        return "/".join(self._part(member, members) for member in self.key_members)

    def parent_key_of(self, members: Mapping[str, Any]) -> str:
        """Return the key of the parent that a request names. ValidationException for one that lacks a part of it."""
        return "/".join(self._part(member, members) for member in self.key_members[:-1])

    def _part(self, member: str, members: Mapping[str, Any]) -> str:
        """Return one part of a key; of several parts none has a slash, or two keys could be the same text."""
        names = member.split("|")
        part = next((str(members[name]) for name in names if name in members), "")
        if not part or ("/" in part and len(self.key_members) > 1):  # Unverified: AWS's wording
            raise errors.validation(f"{' or '.join(names)} of {self.noun} is required, without a slash.")
        return part

    def arn_of(self, cx: Context, key: str) -> str:
        """Return the ARN of a key in the caller's account and region."""
        key = key.lower() if self.lower_arn else key
        if "{" in self.arn_path:
            names = [member.partition("|")[0] for member in self.key_members]
            path = self.arn_path.format(**dict(zip(names, key.split("/"), strict=True)))
        else:
            path = f"{self.arn_path}/{key}"
        return arns.make("sagemaker", cx.region, cx.account, path)

    def not_found(self, cx: Context, key: str) -> errors.AwsError:
        """Return the error of a missing resource, as the table of the real service's answers has it."""
        known = model.not_found(self.noun)
        arn = key if key.startswith("arn:") else self.arn_of(cx, key)
        return errors.AwsError(known["code"], known["text"].format(arn=arn, name=key.rpartition("/")[2]))

    def refusal(self, verb: str, text: str, row: Row, **more: str) -> errors.AwsError:
        """Return the error of something that a resource's state forbids, by the code that the operation declares."""
        sentence = text.format(noun=self.noun, arn=row.arn, name=row.key.rpartition("/")[2], status=row.status, **more)
        for code in ("ResourceInUse", "ConflictException"):
            if model.declares_error(f"{verb}{self.noun}", code):
                return errors.AwsError(code, sentence)
        return errors.validation(sentence)

    # -- reading

    def find(self, cx: Context, key: str) -> Row | None:
        """Read a row by its key (or ARN), or None; by a name in other case too, as ARNs have it (API reference, CreateEndpoint)."""
        if key.startswith("arn:"):
            return self.find_arn(cx, key)
        row = rows.find(cx, self.noun, key)
        folds_case = self.lower_arn and len(self.key_members) == 1
        return self.find_arn(cx, self.arn_of(cx, key)) if row is None and folds_case else row

    def get(self, cx: Context, key: str) -> Row:
        """Read a row by its key (or ARN); raise AWS's error when there is none."""
        row = self.find(cx, key)
        if row is None:
            raise self.not_found(cx, key)
        return row

    def named(self, cx: Context, request: Mapping[str, Any]) -> Row:
        """Read the row that a request names, by its key or ARN; of a numbered one without its number, the last. AWS's error for none."""
        for member in (self.arn_member, *model.key_members(self.noun)):
            if str(request.get(member, "")).startswith("arn:"):
                return self.get(cx, request[member])
        if self.numbered and self.name_member not in request:
            parent_key = self.parent_key_of(request)
            last = rows.children(cx, self.noun, parent_key, newest_first=True, limit=1)
            if not last:
                raise self.not_found(cx, parent_key)
            return last[0]
        return self.get(cx, self.key_of(request))

    def find_arn(self, cx: Context, arn: str) -> Row | None:
        """Read a row by ARN, or None."""
        return rows.find_arn(cx, self.noun, arn)

    def document_bytes(self, cx: Context, key: str) -> bytes:
        """Read the document as stored: Describe's answer, ready to send."""
        document = rows.document_bytes(cx, self.noun, key)
        return orjson.dumps(self.get(cx, key).document) if document is None else document

    def children_of(self, cx: Context, parent_key: str) -> Sequence[Row]:
        """Read the rows below a parent, in the order they were made."""
        return rows.children(cx, self.noun, parent_key)

    # -- writing

    def check_free(self, cx: Context, key: str) -> None:
        """Raise AWS's error when the key is taken (ARNs fold case, so names that differ in case clash)."""
        row = self.find_arn(cx, self.arn_of(cx, key))
        if row is not None:
            raise self.refusal("Create", self.exists, row)

    def next_number(self, cx: Context, parent_key: str) -> int:
        """Return the number of a parent's next child: it counts up, and those of deleted ones do not come again."""
        return numbers.following(cx, f"{self.noun}:{parent_key}")

    def insert(
        self,
        cx: Context,
        key: str,
        members: Mapping[str, Any],
        *,
        status: str = "",
        hidden: dict[str, Any] | None = None,
        tag_list: Sequence[Any] | None = None,
    ) -> Row:
        """Store a new resource: those of `members` that Describe knows, its ARN, its times and its status."""
        self.check_free(cx, key)
        if self.quota is not None:
            quotas.check(cx, self.noun, self.quota)
        if self.parent is not None and "/" in key:  # an unversioned model package stands by itself
            self.parent.get(cx, "/".join(key.split("/")[: len(self.parent.key_members)]))
        now, arn = cx.clock.now(), self.arn_of(cx, key)
        shown = self.shown
        document = {k: v for k, v in members.items() if k in shown}
        if self.arn_member:
            document[self.arn_member] = arn
        document |= {member: now for member in self.times if member in shown} | users.made_by(cx, shown)
        if self.status_member:
            document[self.status_member] = status
        made = rows.insert_row(cx, self.noun, Row(0, key, arn, status, now, 1, document, hidden or {}), self.facets)
        if made is None:  # another transaction has taken the key since the check
            raise self.refusal("Create", self.exists, Row(0, key, arn, status, now, 1, {}))
        if tag_list:
            tags.put(cx, arn, tag_list)
        events.emit(cx, self.noun, arn, "", status or CREATED, "", {"name": key})
        return made

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
        if self.times[1] in document:
            document = {**document, self.times[1]: cx.clock.now()}
        document = users.changed_by(cx, document)
        new = replace(
            row,
            document=document,
            status=row.status if status is None else status,
            hidden=row.hidden if hidden is None else hidden,
        )
        return rows.update_row(cx, row, new, self.facets)

    def delete(self, cx: Context, row: Row) -> None:
        """Remove a row with its tags and, where its children do not forbid it, with them; write the events."""
        for child in CHILDREN.of(cx.kernel).get(self.noun, ()):
            below = child.children_of(cx, row.key)
            if below and child.in_use:
                raise self.refusal("Delete", child.in_use, row, child=below[0].key.rpartition("/")[2])
            for each in below:
                child.delete(cx, each)
        rows.delete_row(cx, row, self.facets)
        events.emit(cx, self.noun, row.arn, row.status, DELETED, "", {"name": row.key})

    # -- what Lists and Search read

    @cached_property
    def facets(self) -> Indexed:
        """Which scalars of its documents are facets: all of what Search knows, else what its List filters and sorts by."""
        searched = bool(model.search_name(self.noun))
        paths = {ALL} if searched else {*self.filters.values(), *self.sorts.values(), *self._named_by_filters()}
        columns = {self.arn_member, self.status_member, *self.times}
        if len(self.key_members) == 1:
            columns.add(self.name_member)
        elif not searched:
            paths.add(self.name_member)
        return Indexed(frozenset(paths - {""}) - columns, frozenset(columns), self.indexed)

    def _named_by_filters(self) -> set[str]:
        """Return the members that List's own filters name by themselves: `DomainIdEquals` is about DomainId."""
        operation = model.list_operation(self.noun)
        return {
            member
            for name in (model.input_members(operation) if operation is not None else ())
            if (member := filtered_member(name)) in self.shown and member != self.key_members[0]
        }


def filtered_member(name: str) -> str:
    """Return the member that a List's filter is about, by its name: `SpaceNameContains` is about SpaceName."""
    for suffix in ("Equals", "Contains", "Prefix", "After", "Before"):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name


CHILDREN = InMemory[dict[str, list[Resource]]]("core.children")
"""The resources below each noun; stored by the kernel."""


def resource(noun: str, **declared: Any) -> Resource:
    """Declare a noun of the model for the component that calls this; see `Resource` for what can be declared."""
    return Resource(noun, **declared)
