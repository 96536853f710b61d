"""The home folder: where all data of one platform lies, and the settings that govern it.

rookery.toml    the settings: consent policy, address to listen on
lake/           posts at rest (a Delta Lake table)
set_aside/      places, reasons and names of rows that an ingest could not take; a file each
live.sqlite     the live log: changes to posts and authors, in one rising sequence
artifacts/      everything that stages made (see artifact.py)
search/         the search index (derived; can be rebuilt)
scales/         the scale that `model train --minutes` measured, so that a rerun uses the same
erase.lock      shared while posts are read into artifacts, exclusive during an erasure
saved.json      saved searches: queries, and how far each has told what is new
ads.sqlite      campaigns and the ledger
readers.sqlite  whom and what each reader of searches blocks and mutes
runs.jsonl      every attempt of a stage, failed ones too
paused.json     exists while all runs are paused (see pause.py)
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rookery.core.artifact import Artifact, find_artifacts
from rookery.core.atomic import write_atomically
from rookery.core.config import load_toml
from rookery.core.errors import DataError, UsageError

SETTINGS = "rookery.toml"

Policy = Literal["public", "opt-in"]
NotIndexable = Literal["no", "undefined"]


@dataclass(frozen=True)
class Rights:
    """The rule for a post whose author did not state a choice.

    public: a public post may be used unless its author or the post refuses.
    opt-in: a public post may be used only if its author or the post agrees.
    erase_within_days: the days after which forgotten posts must be erased from every file; a
    deleted account may be restored within the same time.
    not_indexable: what a Mastodon account that refuses search says of training by that: no, or
    nothing, so that the policy decides.
    """

    policy: Policy = "public"
    erase_within_days: int = 30
    not_indexable: NotIndexable = "no"

    def __post_init__(self) -> None:
        if self.erase_within_days < 0:
            raise DataError(f"erase_within_days must be at least 0, not {self.erase_within_days}")


@dataclass(frozen=True)
class Serve:
    """The address that `rookery serve` listens on, and the names that it answers to.

    allowed_hosts: names beside those of this machine itself (`localhost`, 127.0.0.1).
    """

    host: str = "127.0.0.1"
    port: int = 8700
    allowed_hosts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cluster:
    """The place where the corpus is built: this machine (native), or a Ray cluster.

    address: of the Ray cluster, which must see the home's folder; empty to use a cluster on this
    machine or to start one.
    """

    runner: Literal["native", "ray"] = "native"
    address: str = ""


NEWEST = "newest"
MOST_SHARDS = 1_024
MOST_DAYS = 3_660


@dataclass(frozen=True)
class Serving:
    """The model that searches, answers and writes: the newest checkpoint, or one by its key.

    A key may be given by its beginning.
    """

    serve: str = NEWEST


Writer = Literal["extract", "model", "endpoint"]


@dataclass(frozen=True)
class Answers:
    """The writer of answers.

    writer: extract quotes posts; model asks the home's own model; endpoint asks the model of that
    name behind an endpoint that speaks OpenAI's API, such as `http://localhost:8000/v1`.
    key_file: the file that holds the endpoint's key, as a path from the home; empty for none.
    seconds: the time that a model has, after which posts are quoted. context_tokens: the context of
    the endpoint's model, into which posts, question and answer have to fit.
    """

    writer: Writer = "extract"
    endpoint: str = ""
    model: str = ""
    key_file: str = ""
    seconds: float = 20.0
    context_tokens: int = 4096

    def __post_init__(self) -> None:
        if self.writer == "endpoint" and not (
            self.endpoint.startswith(("http://", "https://")) and self.model
        ):
            raise DataError('writer = "endpoint" needs an endpoint (http…) and a model')
        if not self.seconds > 0:
            raise DataError(f"seconds must be above 0, not {self.seconds}")
        if not self.context_tokens > 0:
            raise DataError(f"context_tokens must be above 0, not {self.context_tokens}")


@dataclass(frozen=True)
class Searching:
    """How search ranks, and where its index lies.

    weights: the file of the ranker's weights, from the home's folder; empty for those that come
    with the package. shards: the parts into which the index is split by author. runner: who reads
    and writes them, this process and its children (native), or actors on a Ray cluster, which must
    see the home's folder. address: of the cluster; empty to use one on this machine or to start
    one.
    """

    weights: str = ""
    shards: int = 1
    runner: Literal["native", "ray"] = "native"
    address: str = ""

    def __post_init__(self) -> None:
        if not 1 <= self.shards <= MOST_SHARDS:
            raise DataError(f"shards must be from 1 to {MOST_SHARDS}, not {self.shards}")
        if self.shards > 1 and self.runner != "ray":
            raise DataError('more than one shard of the search index needs runner = "ray"')


@dataclass(frozen=True)
class Advertising:
    """Where the ads database lies, and how long auctions leave records.

    database: a PostgreSQL database by its URL; empty for a file of SQLite in the home.
    """

    database: str = ""
    auctions_kept_days: int = 7

    def __post_init__(self) -> None:
        if not 1 <= self.auctions_kept_days <= MOST_DAYS:
            days = self.auctions_kept_days
            raise DataError(f"auctions_kept_days must be from 1 to {MOST_DAYS}, not {days}")


@dataclass(frozen=True)
class Settings:
    """The contents of `rookery.toml`."""

    rights: Rights = field(default_factory=Rights)
    serve: Serve = field(default_factory=Serve)
    corpus: Cluster = field(default_factory=Cluster)
    model: Serving = field(default_factory=Serving)
    search: Searching = field(default_factory=Searching)
    answers: Answers = field(default_factory=Answers)
    ads: Advertising = field(default_factory=Advertising)


FIRST_SETTINGS = """\
# Settings of this Rookery home. Every line shows the default.

[rights]
# What holds for a post whose author said nothing about its use:
#   "public"  public posts may be searched, used for answers, shown beside ads and trained on,
#             unless their author or the post says no;
#   "opt-in"  a public post is used only where its author or the post says yes.
# Unlisted, followers-only and direct posts are never used, whatever stands here.
policy = "{policy}"
# How soon a forgotten post has to be gone from every file (`rookery posts erase`), and how long a
# deleted account may be taken back.
erase_within_days = 30
# What a Mastodon account that is not "indexable" says of training; it refuses search and answers.
#   "no"         its posts are not trained on, unless `rookery posts consent` says yes;
#   "undefined"  nothing: the policy decides.
not_indexable = "no"

[serve]
host = "127.0.0.1"
port = 8700
# The names under which the server may be asked for, beside localhost and its own address.
allowed_hosts = []

[corpus]
# Where the corpus is built: "native" on this machine, "ray" on the Ray cluster at the address.
runner = "native"
address = ""

[model]
# Which checkpoint searches, answers and writes: "newest", or one by its key, so that a trial does
# not serve merely by being newest (`rookery runs` lists keys).
serve = "newest"

[search]
# The weights by which search ranks: a file that `rookery search learn` wrote, from this folder;
# empty for those that come with the package.
weights = ""
# Into how many shards the index is split, by author, and who reads and writes them: "native" on
# this machine, one index; "ray" actors on the Ray cluster at the address.
shards = 1
runner = "native"
address = ""

[answers]
# Who writes answers: "extract" quotes sentences of posts; "model" is the model that serves;
# "endpoint" is a model behind an endpoint that speaks OpenAI's API, such as
# "http://localhost:8000/v1", which is sent the question and sentences of posts. Sentences that the
# cited posts do not bear out are dropped. key_file, a path from here, holds the endpoint's key.
writer = "extract"
endpoint = ""
model = ""
key_file = ""
# The seconds that a model has, after which posts are quoted.
seconds = 20.0
# The tokens that the endpoint's model may read and write together; it is sent what fits.
context_tokens = 4096

[ads]
# Where what is sold and the ledger lie: a PostgreSQL database, such as
# "postgresql://ads@db.example/ads"; empty for a file of SQLite in this home.
database = ""
# How many days the records of auctions are kept, for `rookery ads explain`.
auctions_kept_days = 7
"""


@dataclass(frozen=True)
class Shard:
    """One part of a search index that is split into `shards`; `number` counts from 0."""

    number: int = 0
    shards: int = 1


WHOLE = Shard()
"""A search index that is not split."""


@dataclass(frozen=True)
class Home:
    """A home folder: its path, its settings, and the places inside it.

    shard: the part of the search index that is meant by `search`.
    """

    path: Path
    settings: Settings = field(default_factory=Settings)
    shard: Shard = WHOLE

    @property
    def lake(self) -> Path:
        return self.path / "lake"

    @property
    def live(self) -> Path:
        return self.path / "live.sqlite"

    @property
    def artifacts(self) -> Path:
        return self.path / "artifacts"

    @property
    def search(self) -> Path:
        whole = self.path / "search"
        if self.shard == WHOLE:
            return whole
        return whole / f"of-{self.shard.shards}" / str(self.shard.number)

    @property
    def ads(self) -> Path:
        return self.path / "ads.sqlite"

    @property
    def auctions(self) -> Path:
        return self.path / "auctions"

    @property
    def readers(self) -> Path:
        return self.path / "readers.sqlite"

    @property
    def runs(self) -> Path:
        return self.path / "runs.jsonl"

    @property
    def set_aside(self) -> Path:
        return self.path / "set_aside"

    def newest(self, kind: str) -> Artifact | None:
        """Return the most recently finished artifact of a kind, or None."""
        found = list(find_artifacts(self.artifacts, kind))
        return found[-1] if found else None

    def find(self, kind: str, name: str) -> Artifact:
        """Return the artifact of a kind whose key begins with a name.

        Raises `UsageError` unless exactly one is found.
        """
        found = [one for one in find_artifacts(self.artifacts, kind) if one.key.startswith(name)]
        if len(found) != 1:
            raise UsageError(
                f"{len(found) or 'no'} {kind}s have a key that begins with {name!r}",
                where=self.artifacts,
                hint="Name one by its key; `rookery runs` lists them",
            )
        return found[0]

    def need(self, kind: str, command: str) -> Artifact:
        """Return the newest artifact of a kind; raise `UsageError` naming the command for one."""
        artifact = self.newest(kind)
        if artifact is None:
            raise UsageError(
                f"there is no finished {kind} yet", where=self.path, hint=f"Run `{command}` first"
            )
        return artifact


def create_home(path: str | Path, policy: Policy = "public") -> Home:
    """Create a home, or open it if it exists; the settings of an existing home are not changed.

    Raises `UsageError` if the path is a file.
    """
    path = Path(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(
            "a home is a folder, and this is a file", where=path, hint="Give another --home"
        ) from None
    if not (path / SETTINGS).exists():
        write_atomically(path / SETTINGS, FIRST_SETTINGS.format(policy=policy).encode())
    return open_home(path)


def open_home(path: str | Path) -> Home:
    """Open an existing home.

    Raises `UsageError` if there is none, `DataError` if its settings are wrong.
    """
    path = Path(path)
    if not (path / SETTINGS).exists():
        raise UsageError(
            "there is no Rookery home here",
            where=path,
            hint="Name its folder with --home, or make one with `rookery init`",
        )
    return Home(path.absolute(), load_toml(Settings, path / SETTINGS))
