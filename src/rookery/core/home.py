"""The home folder: where everything of one platform lies, and the settings that say how to treat
it.

rookery.toml    the settings: which policy holds, where to listen
lake/           posts at rest (a Delta Lake table)
set_aside/      rows that an ingest could not take, a file each ingest, with the reasons
live.sqlite     the live log: what changed, in one rising sequence
artifacts/      everything that was made (see artifact.py)
search/         the search index (derived; can be rebuilt)
scales/         which scale `model train --minutes` measured, so that the same command keeps to it
erase.lock      held while posts are read into what is made of them, and alone by an erasure
ads.sqlite      campaigns and the ledger
runs.jsonl      every attempt to make something, failed ones too
paused.json     there while all runs are paused (see pause.py)
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from rookery.core.artifact import Artifact, find_artifacts, write_atomically
from rookery.core.config import load_toml
from rookery.core.errors import DataError, UsageError

SETTINGS = "rookery.toml"

Policy = Literal["public", "opt-in"]


@dataclass(frozen=True)
class Rights:
    """What holds for a post whose author said nothing.

    public: a public post may be used unless its author or the post says no.
    opt-in: a public post may be used only if its author or the post says yes.
    erase_within_days: how soon what is forgotten has to be physically gone; a deleted account may
    be taken back for as long.
    """

    policy: Policy = "public"
    erase_within_days: int = 30

    def __post_init__(self) -> None:
        if self.erase_within_days < 0:
            raise DataError(f"erase_within_days must be at least 0, not {self.erase_within_days}")


@dataclass(frozen=True)
class Serve:
    """Where `rookery serve` listens."""

    host: str = "127.0.0.1"
    port: int = 8700


@dataclass(frozen=True)
class Cluster:
    """Where the corpus is built: on this machine (native), or on a Ray cluster that sees the home's
    folder.

    address: of the Ray cluster; empty for one that runs here already, or is started here.
    """

    runner: Literal["native", "ray"] = "native"
    address: str = ""


@dataclass(frozen=True)
class Settings:
    """The contents of `rookery.toml`."""

    rights: Rights = field(default_factory=Rights)
    serve: Serve = field(default_factory=Serve)
    corpus: Cluster = field(default_factory=Cluster)


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

[serve]
host = "127.0.0.1"
port = 8700

[corpus]
# Where the corpus is built: "native" on this machine, "ray" on the Ray cluster at the address.
runner = "native"
address = ""
"""


@dataclass(frozen=True)
class Home:
    """The folder, its settings, and the places inside it."""

    path: Path
    settings: Settings = field(default_factory=Settings)

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
        return self.path / "search"

    @property
    def ads(self) -> Path:
        return self.path / "ads.sqlite"

    @property
    def runs(self) -> Path:
        return self.path / "runs.jsonl"

    @property
    def set_aside(self) -> Path:
        return self.path / "set_aside"

    def newest(self, kind: str) -> Artifact | None:
        """The finished artifact of a kind that was made last, or None."""
        found = list(find_artifacts(self.artifacts, kind))
        return found[-1] if found else None

    def need(self, kind: str, command: str) -> Artifact:
        """The newest artifact of a kind; raises `UsageError` naming the command that makes one."""
        artifact = self.newest(kind)
        if artifact is None:
            raise UsageError(
                f"there is no finished {kind} yet", where=self.path, hint=f"Run `{command}` first"
            )
        return artifact


def create_home(path: Path, policy: Policy = "public") -> Home:
    """Make a home, or open it if it is one already; the settings of an existing home are left
    alone.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UsageError(
            "a home is a folder, and this is a file", where=path, hint="Give another --home"
        ) from None
    if not (path / SETTINGS).exists():
        write_atomically(path / SETTINGS, FIRST_SETTINGS.format(policy=policy).encode())
    return open_home(path)


def open_home(path: Path) -> Home:
    """Open an existing home; raises `UsageError` if there is none, `DataError` if its settings are
    wrong.
    """
    if not (path / SETTINGS).exists():
        raise UsageError(
            "there is no Rookery home here",
            where=path,
            hint="Name its folder with --home, or make one with `rookery init`",
        )
    return Home(path.absolute(), load_toml(Settings, path / SETTINGS))
