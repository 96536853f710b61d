"""What a source finds in a file of made-up lines."""

import json

import pytest

from rookery.posts.event import Event
from rookery.posts.sources import formats
from rookery.posts.sources.files import SetAside


@pytest.fixture
def found_by(tmp_path):
    """Return what a source yields for a file of these lines: posts, rows set aside, events."""

    def found_by(source, name, *lines, text=None):
        path = tmp_path / name
        path.write_text("\n".join(map(json.dumps, lines)) if text is None else text)
        assert formats.source_of(path) is source
        batches = list(source.read(path))
        beside = [item for _, items in batches for item in items]
        return (
            [row for batch, _ in batches for row in batch.to_pylist()],
            [item for item in beside if isinstance(item, SetAside)],
            [item for item in beside if isinstance(item, Event)],
        )

    return found_by
