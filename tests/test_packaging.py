"""What is installed is said once and repeated without a difference."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name as canonical

from scripts.metadata_for_index import for_index, source_of, urls

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = ROOT / "environment.yml"


def requirement(line):
    """Name and bounds of a requirement, in one spelling for pip and conda."""
    found = re.fullmatch(r"([A-Za-z0-9._-]+?)(\[[a-z,]+\])?\s*([<>=!~].*)?", line.strip())
    assert found, line
    name = re.sub(r"[-_.]+", "-", found[1]).lower()
    return name, frozenset(re.sub(r"\s", "", found[3] or "").split(",")) - {""}


def conda():
    listed = yaml.safe_load(CONDA.read_text())["dependencies"]
    plain = dict(requirement(entry) for entry in listed if isinstance(entry, str))
    by_pip = [line for entry in listed if isinstance(entry, dict) for line in entry["pip"]]
    own = [line for line in by_pip if line.startswith(("-e ", "--editable ", "."))]
    return plain, dict(requirement(line) for line in by_pip if line not in own), own


needs_conda = pytest.mark.skipif(not CONDA.exists(), reason="environment.yml is not there yet")


@needs_conda
def test_conda_installs_the_same_packages_with_the_same_bounds():
    plain, by_pip, _ = conda()
    python = plain.pop("python")
    assert python == {PROJECT["requires-python"].replace(" ", "")}
    assert not set(plain) & set(by_pip)
    listed = {name: bounds for name, bounds in {**plain, **by_pip}.items() if name != "pip"}
    wanted = dict(map(requirement, PROJECT["dependencies"]))
    assert {name: listed.get(name) for name in wanted} == wanted
    further = dict(map(requirement, PROJECT["optional-dependencies"]["dev"]))
    extra = {name: bounds for name, bounds in listed.items() if name not in wanted}
    assert extra.items() <= further.items()


@needs_conda
def test_conda_has_pip_where_pip_is_used():
    plain, by_pip, own = conda()
    assert not (by_pip or own) or "pip" in plain


def test_each_package_has_a_lower_bound_that_can_be_tested():
    groups = [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for line in (line for group in groups for line in group):
        name, bounds = requirement(line)
        if name != "firmly-nb":
            # A tool that judges is pinned: its one version is the lower bound, too.
            assert any(bound.startswith((">=", "==")) for bound in bounds), line


def test_the_classifiers_name_the_versions_that_are_supported():
    lowest = PROJECT["requires-python"].removeprefix(">=")
    named = [c.rpartition(":: ")[2] for c in PROJECT["classifiers"] if ":: Python :: 3." in c]
    assert named[0] == lowest
    assert named == sorted(named, key=lambda text: tuple(map(int, text.split("."))))


def test_every_package_of_ours_is_in_the_wheel():
    folders = {path.parent for path in (ROOT / "firmly_nb").rglob("*.py")}
    assert all((folder / "__init__.py").exists() for folder in folders)
    assert (ROOT / "firmly_nb" / "py.typed").exists()


def test_the_pages_that_messages_name_and_the_notebooks_are_installed():
    built = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    included = built["targets"]["wheel"]["force-include"]
    assert included == {"docs": "firmly_nb/docs", "notebooks": "firmly_nb/notebooks"}
    assert {"docs", "tests", "scripts", "requirements", "SECURITY.md"} <= set(
        built["targets"]["sdist"]["include"]
    )


# Modules whose distribution has another name.
DISTRIBUTIONS = {"dotenv": "python-dotenv", "nest_asyncio2": "nest-asyncio"}
# Taken if they are there; none is needed.
OPTIONAL = {
    "opentelemetry",
    "google",
    "requests",
    "brotli",
    "zstandard",
    "compression",
    "distributed",
    "_typeshed",
}


def test_each_package_that_is_imported_is_declared():
    declared = {requirement(line)[0] for line in PROJECT["dependencies"]}
    imported = set()
    for path in (ROOT / "firmly_nb").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            imported |= {name.split(".")[0] for name in names}
    others = imported - set(sys.stdlib_module_names) - OPTIONAL - {"firmly_nb"}
    needed = {DISTRIBUTIONS.get(name, name).lower().replace("_", "-") for name in others}
    assert needed - declared == set()


@pytest.mark.parametrize("name", ["recorder", "gate"])
def test_a_small_installation_keeps_the_bounds(name):
    bounds = {canonical(r.name): r for r in map(Requirement, PROJECT["dependencies"])}
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    pinned = [Requirement(line) for line in lines if not line.startswith("#")]
    assert len(pinned) > 20
    for one in pinned:
        (pin,) = one.specifier
        assert pin.operator == "==", one
        wanted = bounds.get(canonical(one.name))
        assert wanted is None or wanted.specifier.contains(pin.version), one


def test_links_of_the_readme_work_on_a_package_index():
    readme = (ROOT / "README.md").read_text("utf-8")
    built = for_index(readme, "https://code.test/a/b")
    links = re.findall(r"\]\(([^)\s]+)\)", built)
    assert len(links) > 20
    assert [link for link in links if not link.startswith(("https://", "#"))] == []
    assert "https://code.test/a/b/blob/main/docs/statistics.md" in links
    assert "https://code.test/a/b/raw/main/docs/pictures/readme-order.webp" in links
    assert set(urls("https://code.test/a/b")) >= {"Source", "Documentation", "Issues", "Changelog"}


def test_nobody_is_sent_to_an_address_that_nobody_named():
    built = for_index((ROOT / "README.md").read_text("utf-8"), "")
    links = re.findall(r"\]\(([^)\s]+)\)", built)
    assert {*links, *urls("").values()} == {"https://developers.firmly.ai"}
    for file in ("pyproject.toml", "CITATION.cff", "README.md"):
        assert "github.com" not in (ROOT / file).read_text("utf-8")


@pytest.mark.parametrize(
    "text", ["code.test/a/b", "http://code.test/a", "https://u:p@code.test/a", "x"]
)
def test_a_source_that_is_no_address_is_refused(text):
    with pytest.raises(ValueError, match="must be like https://HOST/OWNER/NAME"):
        source_of(text)
    assert source_of(" https://code.test/a/b.git\n") == "https://code.test/a/b"


def test_ci_calls_what_a_clone_calls():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    commands = [
        step["run"]
        for file in (ROOT / ".github" / "workflows").glob("*.yml")
        for job in yaml.safe_load(file.read_text())["jobs"].values()
        for step in job["steps"]
        if "run" in step
    ]
    assert len(commands) >= 4
    for command in commands:
        assert command == ".ci/run" or command.split()[1] in targets, command
    assert "make test" in (ROOT / ".ci" / "run").read_text()
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == ["make check"]


def test_the_citation_has_the_version():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == PROJECT["version"]
    assert cited["license"] == PROJECT["license"]
