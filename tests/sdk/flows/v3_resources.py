"""The typed resources of SDK v3: every kind that can be made is created, got, listed, updated and deleted; of the others there are none.

The first argument is the file that `tests.sdk.resources` writes: the kinds with their smallest requests in wire form, parents
before children, `$Member` where a request takes a member of one that was made before.
"""

import inspect
import json
import sys
import time
import traceback
from pathlib import Path

import boto3
from sagemaker.core import resources
from sagemaker.core.utils.code_injection.codec import pascal_to_snake

ONE_MEMBER = "the answer is one structure, of which the class wants the name beside it"
NO_NAME = "wants a ModelPackageName, which a version of a group has not: it is named by its ARN"
NO_IMAGE = "wants an ImageName, which DescribeImageVersion does not answer with"
NOT_OURS = {
    ("Workforce", "create"): ONE_MEMBER,
    ("Workforce", "get"): ONE_MEMBER,
    ("Workteam", "create"): ONE_MEMBER,
    ("Workteam", "get"): ONE_MEMBER,
    ("ModelPackage", "create"): NO_NAME,
    ("ModelPackage", "delete"): NO_NAME,
    ("ImageVersion", "create"): NO_IMAGE,
    ("ImageVersion", "get"): NO_IMAGE,
}
"""What the SDK itself cannot do (sagemaker-core 2.27.0), and why: it reads what the model does not say."""

UNDER_WAY = ("ing", "InProgress", "INPROGRESS")

client = boto3.client("sagemaker")
account = boto3.client("sts").get_caller_identity()["Account"]
given = json.loads(Path(sys.argv[1]).read_text())
failed, passed, living = {}, {}, {}
members = {"Bucket": f"sdk-resources-{account}"}
boto3.client("s3").create_bucket(Bucket=members["Bucket"])


def filled(value):
    """Return a request with the caller's account and the members of what was made before."""
    text = json.dumps(value).replace("111122223333", account)
    for name in sorted(members, key=len, reverse=True):
        text = text.replace(f"${name}", str(members[name]))
    return json.loads(text)


def named(value, shape):
    """Return a request's members as the SDK names them; the keys of maps are nobody's names."""
    if shape.type_name == "structure":
        return {pascal_to_snake(name): named(inner, shape.members[name]) for name, inner in value.items()}
    if shape.type_name == "list":
        return [named(inner, shape.member) for inner in value]
    if shape.type_name == "map":
        return {key: named(inner, shape.value) for key, inner in value.items()}
    return value


def arguments(operation, value, method):
    """Return the arguments with which a method makes a request."""
    known = named(filled(value), client.meta.service_model.operation_model(operation).input_shape)
    return {name: inner for name, inner in known.items() if name in inspect.signature(method).parameters}


def own(method, resource):
    """Return those arguments of a method that a resource has."""
    known = {name: getattr(resource, name, None) for name in inspect.signature(method).parameters}
    return {name: value for name, value in known.items() if isinstance(value, (str, int))}


def attempt(noun, verb, act):
    """Do one thing, and note what came of it."""
    try:
        result = act()
    except Exception as error:  # all of them are shown at the end
        failed[noun, verb] = f"{type(error).__name__}: {error}"
        if (noun, verb) not in NOT_OURS:
            traceback.print_exc()
        return None
    passed.setdefault(noun, []).append(verb)
    return result


def listed(cls, kind):
    """Return the first of what is listed; there is only one."""
    (only,) = [*cls.get_all(**arguments(kind["list"], kind["listing"], cls.get_all))]
    return only


def make(cls, kind):
    """Make one: by the class, or as its operation does where the class cannot; then it is the one that is listed."""
    noun = kind["noun"]
    if kind["by"] == f"Create{noun}":
        created = attempt(noun, "create", lambda: cls.create(**arguments(kind["by"], kind["create"], cls.create)))
        if created is not None:
            return created
    else:
        getattr(client, pascal_to_snake(kind["by"]))(**filled(kind["create"]))
    if hasattr(cls, "get_all"):
        return attempt(noun, "get_all", lambda: listed(cls, kind))
    return attempt(noun, "get", lambda: got(cls, kind, None))


def got(cls, kind, created):
    """Get one by what it says itself, or as the kind says."""
    if "get" in kind:
        return cls.get(**arguments(f"Describe{kind['noun']}", kind["get"], cls.get))
    return cls.get(**own(cls.get, created))


def settled(resource):
    """Wait until a job or an endpoint has come to its end."""
    deadline = time.monotonic() + 60
    while any(str(value).endswith(UNDER_WAY) for name, value in vars(resource).items() if name.endswith("status")):
        assert time.monotonic() < deadline, f"{resource} goes on"
        time.sleep(0.1)
        resource.refresh()


def live(kind):
    """Take one resource as far as its deletion."""
    noun = kind["noun"]
    cls = getattr(resources, noun)
    created = make(cls, kind)
    members.update({name: value for name, value in filled(kind["create"]).items() if isinstance(value, str)})
    if created is None:
        return
    answer = client.meta.service_model.operation_model(kind["by"]).output_shape
    for name in answer.members if answer is not None else ():
        members[name] = getattr(created, pascal_to_snake(name), None)
    living[noun] = created
    if kind.get("runs"):
        attempt(noun, "settle", lambda: settled(created))
    if hasattr(cls, "get"):
        attempt(noun, "get", lambda: got(cls, kind, created))
    if kind.get("update"):
        changes = arguments(f"Update{noun}", kind["update"], cls.update)
        attempt(noun, "update", lambda: created.update(**changes))
    if hasattr(cls, "refresh"):
        attempt(noun, "refresh", created.refresh)
    if kind.get("list"):
        attempt(noun, "get_all", lambda: listed(cls, kind))


def end(kind, created):
    """Delete one: by the class, or as its operation does where the class cannot."""
    noun, cls = kind["noun"], getattr(resources, kind["noun"])
    if created is not None and hasattr(cls, "delete"):
        deletion = arguments(f"Delete{noun}", kind.get("delete", {}), cls.delete)
        attempt(noun, "delete", lambda: created.delete(**deletion))
    if "undo" in kind:
        operation, request = kind["undo"]
        getattr(client, pascal_to_snake(operation))(**filled(request))


def none(cls, operation, listing):
    """Assert that there are none of a kind."""
    everything = [*cls.get_all(**arguments(operation, listing, cls.get_all))]
    assert everything == []


for each in given["kinds"]:
    live(each)
for kind in reversed(given["kinds"]):
    end(kind, living.get(kind["noun"]))
print(f"{len(passed)} kinds:", {noun: " ".join(sorted(verbs)) for noun, verbs in passed.items()})
assert len(passed) >= 40
for noun, (operation, listing) in given["waiting"].items():
    if hasattr(cls := getattr(resources, noun, None), "get_all"):
        attempt(noun, "get_all", lambda cls=cls, operation=operation, listing=listing: none(cls, operation, listing))
print(json.dumps({f"{noun} {verb}": text for (noun, verb), text in failed.items()}, indent=1))
assert failed.keys() == NOT_OURS.keys(), failed.keys() ^ NOT_OURS.keys()
print("FLOW PASSED")
