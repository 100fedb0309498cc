"""The documentation says what is so: commands, options, links, the schema and the Python examples."""

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import click
import jsonschema
import pytest

from comfyvn_store.cli.clicked import main
from comfyvn_store.cli.main import COMMANDS
from tests.gitrepo import GitRepo
from tests.media import comfy_png, png
from tests.samples import SAMPLES, needs_samples

TOP = Path(__file__).parents[1]
DOCS = TOP / "docs"
PAGES = [TOP / "README.md", TOP / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
HAND_WRITTEN = [page for page in PAGES if page.name != "cli.md"]


def named(page: Path) -> str:
    return str(page.relative_to(TOP))


def prose(text: str) -> str:
    """A page without its code blocks."""
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.MULTILINE | re.DOTALL)


# -- the reference of the commands -----------------------------------------------------------------------------------


@pytest.fixture
def reference() -> ModuleType:
    place = DOCS / "make_cli_reference.py"
    spec = importlib.util.spec_from_file_location("make_cli_reference", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_commands_say(reference: ModuleType) -> None:
    assert (DOCS / "cli.md").read_text(encoding="utf-8") == reference.page(), "run: python docs/make_cli_reference.py"


def test_a_stale_reference_is_noticed(
    reference: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr(reference, "PAGE", tmp_path / "cli.md")
    assert reference.run(["--check"]) == 1
    assert reference.run([]) == 0
    assert reference.run(["--check"]) == 0
    reference.PAGE.write_text("old", encoding="utf-8")
    assert reference.run(["--check"]) == 1
    assert reference.PAGE.read_text(encoding="utf-8") == "old"
    assert "stale" in capsys.readouterr().err


# -- commands and options --------------------------------------------------------------------------------------------


def options_of(command: click.Command) -> set[str]:
    """Those of a command and of its subcommands."""
    own = {word for param in command.params if isinstance(param, click.Option) for word in param.opts}
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return own.union({"--help", "-h"}, *map(options_of, below))


def commands() -> dict[str, click.Command]:
    context = click.Context(main)
    found = {name: main.get_command(context, name) for name in COMMANDS}
    return {name: command for name, command in found.items() if command is not None}


def mentions(text: str) -> Iterator[list[str]]:
    """Gives the words after `comfyvn-store` or `git comfyvn`, in code blocks and in inline code."""
    code = re.findall(r"^ *```[a-z]*\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    code += [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", prose(text))]
    for block in code:
        for line in block.split("\n"):
            typed = line.split("# ")[0]
            # Where a program is started: at the beginning, after a prompt, `&&`, `$(` or a variable that is set.
            for found in re.finditer(
                r"(?:^\s*|\$ |&& |\$\()(?:[A-Z_]+=\S+ )?(?:comfyvn-store|git comfyvn) ([^|>&)]*)", typed
            ):
                words = found.group(1).split()
                if words:
                    yield words


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_command_and_option_that_is_mentioned_exists(page: Path) -> None:
    known = commands()
    for words in mentions(page.read_text(encoding="utf-8")):
        if words[0].startswith("-"):
            assert words[0] in {"--version", "--help", "-h"}, words
            continue
        if not re.fullmatch(r"[a-z]+", words[0]):
            continue  # a path or a sentence: "comfyvn-store in /home/…"
        if words[0] == "in":
            continue  # "Initialized comfyvn-store in …"
        assert words[0] in known, f"{named(page)} speaks of `comfyvn-store {words[0]}`"
        for word in words[1:]:
            if word.startswith("-") and len(word) > 1:
                option = word.split("=")[0].rstrip(",.;:")
                assert option in options_of(known[words[0]]), f"{named(page)}: {' '.join(words)}"


def test_the_reader_of_mentions_finds_what_it_should() -> None:
    block = "```\n$ comfyvn-store list --text x\nA=1 comfyvn-store db\nsqlite3 \"$(comfyvn-store db)\" 'x'\n```\n"
    indented = "- so:\n\n  ```\n  comfyvn-store rebuild && comfyvn-store status | head\n  ```\n"
    found = list(mentions(block + indented + "and `git comfyvn show a`"))
    assert found == [["list", "--text", "x"], ["db"], ["db"], ["rebuild"], ["status"], ["show", "a"]]


def test_every_command_is_explained() -> None:
    said = {words[0] for page in HAND_WRITTEN for words in mentions(page.read_text(encoding="utf-8"))}
    assert set(COMMANDS) <= said


def test_every_option_is_in_the_reference() -> None:
    text = (DOCS / "cli.md").read_text(encoding="utf-8")
    for name, command in commands().items():
        section = text.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        missing = {word for word in options_of(command) - {"--help", "-h"} if f"`{word}" not in section}
        assert not missing, name


# -- links -----------------------------------------------------------------------------------------------------------


def anchor(heading: str) -> str:
    """Gives the anchor that forges make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def headings(page: Path) -> set[str]:
    text = prose(page.read_text(encoding="utf-8"))
    return {anchor(found) for found in re.findall(r"^#+ (.+)$", text, re.MULTILINE)}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = prose(page.read_text(encoding="utf-8"))
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, wanted = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{named(page)}: {link}"
        assert target.is_relative_to(TOP), f"{named(page)}: {link} leads out of the project"
        if wanted:
            assert wanted in headings(target), f"{named(page)}: {link}"


def test_every_page_can_be_found_from_the_table_of_contents() -> None:
    linked = {(DOCS / link).resolve() for link in re.findall(r"\]\(([^)#\s]+)\)", (DOCS / "index.md").read_text())}
    assert {page for page in PAGES if page != DOCS / "index.md"} <= linked


# -- the schema ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft202012Validator:
    text = (DOCS / "formats" / "sidecar.schema.json").read_text(encoding="utf-8")
    jsonschema.Draft202012Validator.check_schema(json.loads(text))
    return jsonschema.Draft202012Validator(json.loads(text))


def faults(schema: jsonschema.Draft202012Validator, sidecar: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in schema.iter_errors(sidecar)]


def sidecars_of(repo: GitRepo) -> list[str]:
    return [path for path in repo.git("ls-files", "-z").out.split("\0") if path.endswith(".asset.json")]


def check_all(repo: GitRepo, schema: jsonschema.Draft202012Validator) -> int:
    paths = sidecars_of(repo)
    for path in paths:
        on_disk = json.loads(repo.read(path))
        in_git = json.loads(repo.blob(f":{path}"))
        assert faults(schema, on_disk) == [], path
        assert faults(schema, in_git) == [], path
        assert on_disk["provenance"].pop("commit") == repo.head()
        assert on_disk == in_git
    return len(paths)


def test_the_schema_holds_for_sidecars_on_disk_and_in_git(
    store_repo: GitRepo, schema: jsonschema.Draft202012Validator
) -> None:
    store_repo.write("assets/characters/alice.png", comfy_png(seed=1))
    store_repo.write("assets/plain.png", png(seed=2))
    store_repo.write("assets/texts/Zoë’s notes.txt", "words")
    store_repo.git("add", "assets")
    store_repo.commit("art")
    assert check_all(store_repo, schema) == 3


@needs_samples
def test_the_schema_holds_for_the_samples(store_repo: GitRepo, schema: jsonschema.Draft202012Validator) -> None:
    pictures = [path for path in SAMPLES.rglob("*") if path.suffix in {".png", ".jpg", ".webp", ".opus"}]
    for number, path in enumerate(pictures):
        store_repo.write(f"assets/samples/{number}{path.suffix}", path.read_bytes())
    store_repo.git("add", "assets")
    store_repo.commit("art")
    assert check_all(store_repo, schema) == len(pictures) > 50


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", 2),
        ("uid", "A" * 16),
        ("hash", "a" * 63),
        ("tags", ["a", 1]),
        ("license", 5),
        ("provenance", None),
        ("preview", {"kind": "film", "path": "x"}),
        ("path", "/absolute.png"),
    ],
)
def test_the_schema_finds_faults(
    store_repo: GitRepo, schema: jsonschema.Draft202012Validator, key: str, value: Any
) -> None:
    store_repo.write("assets/characters/alice.png", comfy_png())
    store_repo.git("add", "assets")
    store_repo.commit("art")
    sidecar = store_repo.sidecar("assets/characters/alice.png")
    assert faults(schema, sidecar) == []
    assert faults(schema, {**sidecar, key: value})
    assert faults(schema, {other: sidecar[other] for other in sidecar if other != key})


def test_the_example_is_valid_and_in_its_canonical_form(schema: jsonschema.Draft202012Validator) -> None:
    from comfyvn_store.asset import sidecar

    text = (DOCS / "formats" / "sidecar.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert faults(schema, json.loads(example)) == []
    data = example.encode()
    in_git = sidecar.strip_commit(data)
    assert sidecar.fill_commit(in_git, json.loads(data)["provenance"]["commit"]) == data
    assert b'"commit"' not in in_git


def test_the_sidecar_in_the_readme_is_in_its_canonical_form(schema: jsonschema.Draft202012Validator) -> None:
    from comfyvn_store.asset import sidecar

    text = (TOP / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^\$ cat assets/\S+\.asset\.json\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert faults(schema, json.loads(example)) == []
    data = example.encode()
    assert sidecar.fill_commit(sidecar.strip_commit(data), json.loads(data)["provenance"]["commit"]) == data


# -- examples --------------------------------------------------------------------------------------------------------


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def test_the_python_examples_run(store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch) -> None:
    store_repo.write("alice.png", comfy_png())
    monkeypatch.chdir(store_repo.path)
    monkeypatch.setenv("COMFYVN_PREVIEWS", "off")
    together: dict[str, Any] = {}
    blocks = python_blocks(DOCS / "python.md")
    assert len(blocks) >= 8
    for block in blocks:
        exec(block, together)


def test_every_method_of_the_registry_is_documented() -> None:
    from comfyvn_store import AssetRegistry

    text = (DOCS / "python.md").read_text(encoding="utf-8")
    methods = [name for name in vars(AssetRegistry) if not name.startswith("_")]
    assert [name for name in methods if f"registry.{name}(" not in text] == []


def test_the_marker_can_be_read_and_removed_as_documented(
    store_repo: GitRepo, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    original = store_repo.write("assets/characters/mira.png", comfy_png()).read_bytes()
    store_repo.git("add", "assets")
    store_repo.commit("art")
    monkeypatch.chdir(store_repo.path)
    read, remove = python_blocks(DOCS / "formats" / "marker.md")
    exec(read, {})
    shown = json.loads(capsys.readouterr().out)
    found: dict[str, Any] = {}
    exec(remove, found)
    assert found["original"] == original
    assert found["payload"] == shown
    assert list(shown) == ["v", "source", "source_hash", "workflow_hash"]


def test_the_documented_questions_run_against_the_index(store_repo: GitRepo) -> None:
    import sqlite3

    store_repo.write("assets/characters/mira.png", comfy_png())
    store_repo.git("add", "assets")
    store_repo.commit("art")
    index = sqlite3.connect(store_repo.tool("db").out)
    try:
        asked = 0
        for page in HAND_WRITTEN:
            text = page.read_text(encoding="utf-8")
            for question in re.findall(r'sqlite3 "\$\(comfyvn-store db\)" "([^"]+)"', text):
                index.execute(question).fetchall()
                asked += 1
        assert asked >= 4
    finally:
        index.close()


def test_the_documented_columns_are_those_of_the_index(store_repo: GitRepo) -> None:
    import sqlite3

    text = (DOCS / "formats" / "index.md").read_text(encoding="utf-8")
    index = sqlite3.connect(store_repo.tool("db").out)
    try:
        tables = [
            row[0]
            for row in index.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '%_fts_%'")
        ]
        for table in tables:
            assert table in text
            for row in index.execute(f"PRAGMA table_info({table})"):
                if table not in {"state", "preview_failures"}:
                    assert f"`{row[1]}`" in text, f"{table}.{row[1]}"
        assert str(index.execute("PRAGMA user_version").fetchone()[0]) in text
    finally:
        index.close()


def test_the_settings_page_names_every_variable_of_the_code() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in (TOP / "comfyvn_store").rglob("*.py"))
    variables = set(re.findall(r'"(COMFYVN_[A-Z_]+)"', code))
    text = (DOCS / "settings.md").read_text(encoding="utf-8")
    assert variables and variables <= set(re.findall(r"COMFYVN_[A-Z_]+", text))
