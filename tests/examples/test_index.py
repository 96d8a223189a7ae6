"""python -m examples: the list by topic, read from the folders, and the start of one example."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from examples import TOPICS, index
from examples.__main__ import listing

ROOT = Path(__file__).parents[2]
NAMES = [example.name for example in index.examples()]


def examples(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "examples", *arguments], cwd=ROOT, capture_output=True, text=True,
                          check=False)


class TestTheIndex:
    def test_has_every_program_of_the_folders(self) -> None:
        programs = [file for folder in (ROOT / "examples", *TOPICS) for file in folder.glob("[!_]*.py")
                    if re.search(r"^    python -m ", file.read_text(encoding="utf-8"), re.MULTILINE)]
        assert {example.file for example in index.examples()} == set(programs)

    def test_reads_an_example_from_its_docstring_without_running_it(self, tmp_path: Path) -> None:
        text = "A title.\n\n    python -m examples.own [--seed 0]\n\nA task.\nPicture: net/loss.svg. Time: 7 s."
        (tmp_path / "own.py").write_text(f'"""{text}\n"""\nraise SystemExit\n', encoding="utf-8")
        (tmp_path / "helper.py").write_text('"""Without a command."""\n', encoding="utf-8")
        [own] = index.examples_in(tmp_path)
        assert (own.name, own.summary, own.time, own.picture) == ("own", "A title.", "7 s", "net/loss.svg")

    def test_has_no_program_of_the_course_kit(self) -> None:
        assert ROOT / "examples" / "memory" in TOPICS
        assert ROOT / "examples" / "assignments" not in TOPICS

    def test_has_each_name_once_since_it_is_a_command(self) -> None:
        assert len(set(NAMES)) == len(NAMES)
        assert not set(NAMES) & {folder.name for folder in TOPICS}

    @pytest.mark.parametrize("example", index.examples(), ids=lambda example: example.name)
    def test_knows_a_sentence_a_time_and_a_picture_of_each(self, example: index.Example) -> None:
        assert example.summary.endswith(".") and len(example.summary) <= 110
        assert example.picture
        assert re.fullmatch(r"\d+ s", example.time)
        assert f"python -m examples.{example.name}" in example.text or example.name == "vanishing"

    @pytest.mark.parametrize("topic", index.topics(), ids=lambda topic: topic.name)
    def test_knows_a_title_and_a_paragraph_of_each_topic(self, topic: index.Topic) -> None:
        title, subtitle = topic.text.splitlines()[0].split(": ")
        assert topic.title == title and subtitle.endswith(".")
        assert topic.text.split("\n\n")[1].strip()


class TestWhatAPageShows:
    def own(self, text: str) -> index.Example:
        return index.Example(Path("own.py"), f"Own: a title.\n\n    python -m examples.own [--seed 0]\n\n{text}")

    def test_is_the_first_paragraph_without_notes(self) -> None:
        own = self.own("A task,\nof 0.5 s.\n\nMore.\n\nThreshold: 3.\nPicture: a_b.png. Time: 5 s; with --slow 15 s.")
        assert own.command == "python -m examples.own [--seed 0]"
        assert own.about == ["A task,\nof 0.5 s."]
        assert own.measured == "Threshold: 3."

    def test_has_the_formulas_that_belong_to_its_sentence(self) -> None:
        assert self.own("    a = 1\n\nWith it:\n\n    b = 2\n\nMore. Time: 1 s.").about == [
            "    a = 1", "With it:", "    b = 2"]
        assert self.own("Alone.\n\n    b = 2\n\nMore. Time: 1 s.").about == ["Alone."]
        assert self.own("Picture: a.png. Time: 1 s.").about == []

    def test_goes_on_where_the_sentence_does(self) -> None:
        assert self.own("The sum is\n\n    a = 1\n\nand for two:\n\n    b = 2\n\n(A paper.)\n\nMore.").about == [
            "The sum is", "    a = 1", "and for two:", "    b = 2", "(A paper.)"]
        assert self.own("The sum:\n\n    a = 1\n\nMore.\n\nand.").about == ["The sum:", "    a = 1"]
        assert self.own("Two.\n\nand three.").about == ["Two."]

    def test_has_the_paragraphs_about_claims(self) -> None:
        own = self.own("A task.\n\nMore. Claimed: no.\n\nClaimed: a.\nNot claimed: b.\n\nNot claimed: c. Time: 1 s.")
        assert own.claims == ["Claimed: a.\nNot claimed: b.", "Not claimed: c."]
        assert self.own("A task. Time: 1 s.").claims == []

    @pytest.mark.parametrize("example", index.examples(), ids=lambda example: example.name)
    def test_has_each_claim_of_a_docstring_and_no_cut_sentence(self, example: index.Example) -> None:
        shown = "\n".join(example.claims)
        assert len(re.findall("[Cc]laimed:", example.text)) == len(re.findall("[Cc]laimed:", shown))
        assert example.about[-1].startswith(index.INDENT) or example.about[-1].endswith((".", ".)", "\""))

    @pytest.mark.parametrize("topic", index.topics(), ids=lambda topic: topic.name)
    def test_stands_on_a_page_for_each_topic(self, topic: index.Topic) -> None:
        page = ROOT / "docs" / "examples" / f"{topic.name}.md"
        assert page.read_text(encoding="utf-8") == f"# {topic.title}\n\n```{{topic-examples}} {topic.name}\n```\n"
        assert f"\n{topic.name}\n" in (page.parent / "index.md").read_text(encoding="utf-8").split("{toctree}")[1]


class TestTheStoredPictures:
    def test_are_one_for_each_example(self) -> None:
        folders = [index.FOLDER / "pictures" / topic.name for topic in index.topics()]
        assert sorted(file for folder in folders for file in folder.glob("*")) == sorted(
            example.stored for example in index.examples())

    @pytest.mark.parametrize("example", index.examples(), ids=lambda example: example.name)
    def test_are_small(self, example: index.Example) -> None:
        assert 1000 < example.stored.stat().st_size <= 60_000


class TestTheCommand:
    def test_lists_all_examples_under_their_topics(self) -> None:
        printed = examples().stdout
        *listed, _ = printed.split("\n\n")
        assert printed == listing() + "\n"
        topics = [topic for topic in index.topics() if topic.examples]
        assert [section.splitlines()[0] for section in listed] == [topic.title for topic in topics]
        assert [[line.split()[0] for line in section.splitlines()[1:]] for section in listed] == [
            [example.name for example in topic.examples] for topic in topics]

    def test_passes_the_options_on(self) -> None:
        done = examples("parity", "--help")
        assert done.returncode == 0
        assert done.stdout.startswith("usage: parity ") and "--steps" in done.stdout

    def test_passes_the_exit_status_on(self) -> None:
        assert examples("parity", "--steps", "none").returncode == 2

    @pytest.mark.parametrize(("name", "hint"), [("partiy", r"did you mean parity( or \w+)*\? "), ("qqqq", "")])
    def test_an_unknown_name_is_answered_with_close_ones(self, name: str, hint: str) -> None:
        done = examples(name)
        assert done.returncode == 2 and done.stdout == ""
        assert re.fullmatch(f"examples: there is no example '{name}'; {hint}python -m examples lists all\n",
                            done.stderr)
