"""Make `home.tar.xz`: a small home of this release, which later releases have to use as it is.

Run as `python tests/golden/make_home.py`, only when a release changes what it makes on purpose. It
uses nothing but the command `rookery`, so it runs in any release. The posts are made up of invented
words.
"""

import csv
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

POSTS = 500
SCALE = "0.00001"
HOME = Path(__file__).with_name("home.tar.xz")


def write_posts(path: Path) -> None:
    """Write a CSV file of posts on a few themes, each with words of its own."""
    chance = random.Random(0)
    syllables = [a + b for a in "bdfklmnprst" for b in "aeiou"]
    words = sorted({"".join(chance.choices(syllables, k=3)) for _ in range(400)})
    chance.shuffle(words)
    themes = [words[start : start + 8] for start in range(0, 320, 8)]
    with open(path, "w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "author", "created", "language", "text"])
        for number in range(POSTS):
            a, b, c, d = chance.sample(chance.choice(themes), 4)
            author, minute = f"author{chance.randrange(40)}", chance.randrange(60)
            moment = f"2026-01-{1 + number // 24:02d}T{number % 24:02d}:{minute:02d}:00Z"
            text = f"today we saw the {a} near one {b}, and then a {c} or {d} at {number}"
            rows.writerow([1000 + number, author, moment, "en", text])


def demo_command(home: Path, posts: Path) -> list[str]:
    """Return the command that makes such a home, or finds all of it made."""
    command = [sys.executable, "-m", "rookery", "demo", "--no-serve", "--json", "--scale", SCALE]
    return [*command, "--home", str(home), "--posts", str(posts)]


def main() -> None:
    """Make the home, and pack it without what depends on the place where it was made."""
    with tempfile.TemporaryDirectory() as folder:
        posts, home = Path(folder) / "posts.csv", Path(folder) / "home"
        write_posts(posts)
        subprocess.run(demo_command(home, posts), check=True, stdout=subprocess.DEVNULL)
        (home / "demo.json").unlink()  # it names the file of posts by its path
        for log in (home / "lake" / "_delta_log").glob("*.json"):
            log.write_text(
                re.sub(r'"location":"[^"]*"', '"location":"file:///home/lake/"', log.read_text())
            )
        for lock in home.rglob("*.lock"):
            lock.unlink()
        shutil.rmtree(home / "set_aside", ignore_errors=True)
        with tarfile.open(HOME, "w:xz", preset=9) as archive:
            archive.add(home, "home", filter=_anonymous)


def _anonymous(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = ""
    return member


if __name__ == "__main__":
    main()
