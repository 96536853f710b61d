"""Samples of formats, and what each has always meant.

They lie in `tests/golden/samples`, X archives as folders. What they mean is in `samples.json`: a
change there is a change for everybody who has such files.
"""

import json
from pathlib import Path

import pytest

from rookery.posts.event import Event
from rookery.posts.inputs import Bundle, find_inputs
from rookery.posts.sources import formats

GOLDEN = Path(__file__).parents[2] / "golden"
MEANING = json.loads((GOLDEN / "samples.json").read_text())


def meaning_of(path):
    """What a file or folder means: its format, the posts, the rows set aside, the events."""
    (found,), unknown = find_inputs([path])
    assert unknown == []
    if isinstance(found, Bundle):
        form, read = found.how["format"], found.read()
    else:
        source = formats.source_of(found)
        form, read = formats.name_of(source), source.read(found)
    posts, aside, events = [], [], []
    for batch, beside in read:
        for post in batch.to_pylist():
            posts.append({name: value for name, value in post.items() if value is not None})
        for item in beside:
            if isinstance(item, Event):
                events.append([item.kind, item.subject, item.cause, item.value])
            else:
                aside.append([item.where, item.reason])
    return {"format": form, "posts": posts, "set_aside": aside, "events": events}


@pytest.mark.parametrize("name", MEANING)
def test_a_sample_means_what_it_always_meant(name):
    found = meaning_of(GOLDEN / "samples" / name)
    assert json.loads(json.dumps(found, default=str)) == MEANING[name]


def test_every_sample_has_its_meaning():
    assert {path.name for path in (GOLDEN / "samples").iterdir()} == set(MEANING)
