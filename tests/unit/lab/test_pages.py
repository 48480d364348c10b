"""What the schedulers' pages say to write is right, as far as a configuration knows the word."""

import re
from pathlib import Path

from evener.config.kinds import Section
from evener.config.schema import POOL
from evener.lab import Scenario

ROOT = Path(__file__).parents[3]
PAGES = sorted((ROOT / "docs/concepts/schedulers").glob("*-*.md"))


def known() -> tuple[str, ...]:
    scheduler = POOL.keys["scheduler"].type
    assert isinstance(scheduler, Section)
    words: tuple[str, ...] = scheduler.keys["name"].type.words  # type: ignore[attr-defined]  # a choice
    return words


def test_what_a_page_says_to_write_is_that_scheduler() -> None:
    scenario = Scenario({"arrivals": "1/s", "servers": {"time": "1ms"}})
    seen = 0
    for page in PAGES:
        text = page.read_text()
        title = text.splitlines()[0].removeprefix("# ")
        [written] = re.findall(r"Write `scheduler: ([^`]+)`", text)
        name = re.search(r"name: ([\w-]+)", written)
        word = name[1] if name else written
        if word in known() and word != "python":  # which the laboratory refuses
            assert scenario.under(written).schedulers == [title], page.name
            seen += 1
    assert seen >= 2


def test_schedulers_that_the_guide_names_have_a_page() -> None:
    guide = (ROOT / "docs/guides/choose.md").read_text()
    linked = set(re.findall(r"\(\.\./concepts/schedulers/([\w-]+)\.md\)", guide))
    assert linked - {"README"} <= {page.stem for page in PAGES}
    assert len(linked) > 10
