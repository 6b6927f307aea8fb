"""What README and the pages say is true: their code runs as pasted, what they cite exists."""

import ast
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from scripts import check_pages, draw_readme
from tests.warm import run, warm

ROOT = Path(__file__).parents[1]
PAGES = check_pages.markdown_pages()
OF_THE_READER = {"firmly-nb.toml"}  # files that the reader writes
PATH = re.compile(r"`((?:[\w-]+/)*[\w-]+\.(?:py|ipynb|toml|yml))`")
# What no test can run: each is checked for its options all the same (scripts/check_pages.py).
NOT_RUN = {"sim": "serves until Ctrl-C", "lab": "opens JupyterLab"}


def program(page):
    """The code of a page as one program, each block where the page has it: so are its errors."""
    lines = [""] * len(page.read_text("utf-8").splitlines())
    for block in check_pages.read_page(page.read_text("utf-8"))[1]:
        if block.language == "python" and not check_pages.NOT_RUN.match(block.code):
            code = block.code.splitlines()
            lines[block.line - 1 : block.line - 1 + len(code)] = code
        elif block.language in {"sh", "console"}:
            commands = check_pages.commands_of(block.code)
            ran = [one for one in commands if one.split()[1] not in NOT_RUN]
            if ran:
                lines[block.line - 1] = f"_run_commands({ran!r})"
    return "\n".join(lines)


# A page of twenty commands takes its time where ten others run: only what hangs is to fail.
RUN_S = 1200


# Before a page's first line, in the line of its heading.
RUN_COMMANDS = """\
def _run_commands(commands):
    import re, shlex
    for command in commands:
        said = re.search(r"# exit code ([0-9])", command)
        code = run_command(shlex.split(command, comments=True))
        assert code == int(said[1] if said else 0), (code, command)
"""
# Pictures are for other tests; of the second warning Dask is the cause, with newest pandas.
PASSED_OVER = ("-W", "ignore:Charts have no pictures", "-W", "ignore:The inplace keyword")
WITH_CODE = [page for page in PAGES if program(page).strip()]


@pytest.fixture(scope="module")
def ran(request, tmp_path_factory):
    """Begin to run the program of each page, in a process of its own, as on a new machine."""
    asking = [one for one in request.session.items if "ran" in getattr(one, "fixturenames", ())]
    wanted = [one.callspec.params["page"] for one in asking]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("FIRMLY_")
    }
    # A browser draws pictures; that is for other tests.
    environment["FIRMLY_NB_PICTURES"] = "never"
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

    # Before there are threads: two that ask at once for the first folder of a run both make it.
    folders = {page: tmp_path_factory.mktemp(page.stem) for page in wanted}

    def run_page(page, address):
        folder = folders[page]
        head = f"exec({RUN_COMMANDS!r}, globals())"
        (folder / "page.py").write_text(f"{head}{program(page)}\n", "utf-8")
        home = {"FIRMLY_NB_HOME": str(folder / "home")}
        with (folder / "out.txt").open("wb") as printed, (folder / "err.txt").open("wb") as said:
            files = (0, printed.fileno(), said.fileno())
            code = run(address, ["page.py"], files, folder, environment | home, RUN_S)
        return code, (folder / "err.txt").read_text("utf-8")

    with (
        warm("-W", "error", *PASSED_OVER) as address,
        ThreadPoolExecutor(min(os.cpu_count() or 1, 4)) as pool,
    ):
        yield {page: pool.submit(run_page, page, address) for page in wanted}


@pytest.mark.timeout(RUN_S + 60)
@pytest.mark.parametrize("page", WITH_CODE, ids=lambda page: page.stem)
def test_the_code_of_a_page_runs_as_pasted(page, ran):
    code, said = ran[page].result()
    assert code == 0, said[-3000:]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_only_staging_is_not_run_and_says_so(page):
    for block in check_pages.read_page(page.read_text("utf-8"))[1]:
        if "Not run by the tests" in block.code:
            assert check_pages.NOT_RUN.match(block.code)
            assert '"staging"' in block.code


def test_everything_that_a_file_cites_exists():
    found = [
        problem
        for path in check_pages.citing_files()
        for problem in check_pages.citation_problems(
            path.read_text("utf-8"), str(path.relative_to(ROOT)), path.parent
        )
    ]
    assert not found, "\n".join(map(str, found))


def test_a_reader_of_the_readme_comes_to_every_page():
    seen, ahead = set(), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        seen.add(page)
        links = re.findall(r"\]\(([\w./-]+\.md)", page.read_text("utf-8"))
        ahead += {(page.parent / link).resolve() for link in links} - seen
    assert set(PAGES) <= seen


@pytest.mark.parametrize(("path", "name"), [("/", "page.html"), ("/openapi.json", "api.json")])
def test_everything_that_the_simulator_cites_exists(path, name, simulator):
    said = httpx.get(f"{simulator.url}{path}", trust_env=False).raise_for_status().text
    assert not list(check_pages.citation_problems(said, name, ROOT))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_that_a_page_names_exists(page):
    named = PATH.findall(page.read_text("utf-8"))
    folders = [ROOT, ROOT / "firmly_nb", ROOT / "tests"]
    missing = {path for path in named if not any((at / path).exists() for at in folders)}
    assert not missing - OF_THE_READER


def where_to_change():
    """Question, file and name of each row of "Where do I change ...?"."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    return re.findall(r"^\| (.+\?) \| `(.+)` \| `(\w+)` \|$", text, re.MULTILINE)


def test_a_reader_finds_where_to_change_twenty_things():
    questions = [question for question, _, _ in where_to_change()]
    assert len(questions) >= 20
    assert len(set(questions)) == len(questions)


@pytest.mark.parametrize(("question", "file", "name"), where_to_change())
def test_what_a_reader_is_to_change_is_in_that_file(question, file, name):
    tree = ast.parse((ROOT / "firmly_nb" / file).read_text("utf-8"))
    assert name in {
        defined
        for node in tree.body
        for defined in (
            [node.name]
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            else [each.id for each in ast.walk(node) if isinstance(each, ast.Name)]
            if isinstance(node, ast.Assign | ast.AnnAssign)
            else []
        )
    }


def test_the_first_screen_of_the_readme_has_the_commands():
    first_screen = (ROOT / "README.md").read_text("utf-8")[:1200]
    for command in ("make lab", "make test", "make demo"):
        assert command in first_screen


def test_the_tables_page_is_what_the_code_says():
    space = {"__name__": "page", "__file__": str(ROOT / "scripts" / "write_tables_page.py")}
    exec((ROOT / "scripts" / "write_tables_page.py").read_text("utf-8"), space)
    assert space["page"]() == (ROOT / "docs" / "tables.md").read_text("utf-8")


def test_the_readme_is_short_and_its_pictures_are_small():
    text = (ROOT / "README.md").read_text("utf-8")
    assert len(text.splitlines()) <= 120
    pictures = [ROOT / path for path in re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)]
    assert len(pictures) == 3
    assert sum(path.stat().st_size for path in pictures) < 1_500_000


def test_the_readme_says_what_the_benchmark_measured():
    text = (ROOT / "README.md").read_text("utf-8")
    errors = draw_readme.timing_errors()
    assert f"{errors[draw_readme.SLOW]:.0f} ms late" in text
    assert f"{errors['firmly-nb']:.2f} ms late" in text
    assert f"firmly-nb {errors['firmly-nb']:.2g} ms" in text
