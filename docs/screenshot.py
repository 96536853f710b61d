"""Take the picture of the page in the README: `make screenshot`, after `make demo`.

Serves the demo's home on a free port, asks a question in headless Chromium, and writes
`docs/page.png`.
"""

import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

from playwright.sync_api import sync_playwright

PICTURE = Path(__file__).with_name("page.png")
QUESTION = "Where is the seed swap?"
CHROMIUM = "/usr/bin/chromium"


def main(home: str) -> None:
    """Write the picture of a home's page."""
    command = [sys.executable, "-m", "rookery", "serve", "--port", "0", "--home", home]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as serving:
        try:
            address = re.search(r"http://\S+", serving.stdout.readline())[0].rstrip("/")
            _photograph(f"{address}/?q={quote(QUESTION)}")
        finally:
            serving.terminate()


def _photograph(address: str) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 960, "height": 720})
        page.goto(address)
        page.wait_for_selector(".answer .sentence")  # it comes after the posts
        page.screenshot(path=PICTURE)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
