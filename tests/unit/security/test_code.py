"""What the code never does: unpickle, evaluate, start a shell, look away from a certificate."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FILES = sorted(
    path
    for folder in ("k2stream", "agents", "tables")
    for path in (ROOT / folder).rglob("*.py")
    if not path.parent.is_symlink()
)

MODULES = {
    "pickle",
    "marshal",
    "shelve",
    "dill",
    "cloudpickle",
    "jsonpickle",
    "joblib",
    "imp",
    "xmlrpc",
    "ftplib",
}
"""Whose reading runs what they read, or whose traffic is in the clear."""

CALLS = {
    *("eval", "exec", "compile", "__import__", "input"),
    *("os.system", "os.popen", "os.execv", "os.execve", "os.spawnv", "subprocess.getoutput"),
    *("asyncio.create_subprocess_shell", "yaml.load", "yaml.load_all", "yaml.unsafe_load", "tempfile.mktemp"),
    *("numpy.load", "np.load", "numpy.fromfile", "torch.load", "pandas.read_pickle"),
    *("ssl._create_unverified_context", "ssl.wrap_socket", "hashlib.md5", "hashlib.sha1"),
}

ARGUMENTS = {
    ("shell", True),
    ("allow_pickle", True),
    ("verify", False),
    ("check_hostname", False),
    ("trust_remote_code", True),
}
"""Keyword arguments with a value that nothing may have."""

MAY = {
    ("k2stream/commands/sql.py", "input"): "the prompt of `k2 sql`, which reads a line of its user",
}
"""By file and call: why it may be there."""


def name(path):
    return str(path.relative_to(ROOT))


def dotted(node):
    """The name of what is called, such as `os.system`."""
    return ast.unparse(node) if isinstance(node, (ast.Name, ast.Attribute)) else ""


def found(tree):
    """What a module does of that."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (alias.name for alias in names if alias.name.split(".")[0] in MODULES)
            case ast.ImportFrom(module=str(module)) if module.split(".")[0] in MODULES:
                yield module
            case ast.Call(func=function, keywords=keywords):
                if dotted(function) in CALLS:
                    yield dotted(function)
                for word in keywords:
                    value = getattr(word.value, "value", None)
                    if (word.arg, value) in ARGUMENTS and isinstance(value, bool):
                        yield f"{word.arg}={value}"
            case ast.Attribute(attr="CERT_NONE"):
                yield "CERT_NONE"
            case ast.Assign(targets=[ast.Attribute(attr="check_hostname")], value=ast.Constant(value=False)):
                yield "check_hostname=False"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_of_that_is_done(path):
    done = {what for what in found(ast.parse(path.read_text())) if (name(path), what) not in MAY}
    assert not done, f"{name(path)}: {', '.join(sorted(done))}"


@pytest.mark.parametrize(
    ("code", "what"),
    [
        ("import pickle", "pickle"),
        ("from marshal import loads", "marshal"),
        ("eval(text)", "eval"),
        ("subprocess.run(text, shell=True)", "shell=True"),
        ("os.system(text)", "os.system"),
        ("yaml.load(text)", "yaml.load"),
        ("httpx.get(url, verify=False)", "verify=False"),
        ("context.check_hostname = False", "check_hostname=False"),
        ("context.verify_mode = ssl.CERT_NONE", "CERT_NONE"),
    ],
)
def test_it_would_be_found(code, what):
    assert what in set(found(ast.parse(code)))


def test_every_exception_is_needed():
    done = {(name(path), what) for path in FILES for what in found(ast.parse(path.read_text()))}
    assert MAY.keys() <= done


LINT = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["lint"]
SQL_OF_USERS = ("service", "web", "history", "read", "peers.py", "app.py")
"""Rooms that take what users send: no SQL is made there."""


def test_ruff_looks_for_unsafe_code_and_its_exceptions_are_few():
    """Exceptions with a reason are lines of code; those for whole folders are named here."""
    assert "S" in LINT["select"]
    assert {rule for rule in LINT["ignore"] if rule.startswith("S")} == {"S101", "S603", "S607"}
    folders = {folder for folder, rules in LINT["per-file-ignores"].items() if "S608" in rules}
    assert folders and not any(room in folder for folder in folders for room in SQL_OF_USERS)


def test_a_line_that_is_an_exception_says_why():
    for path in FILES:
        for line in path.read_text().splitlines():
            if re.search(r"# noqa: S(?!LF|IM)\d+", line):
                assert re.search(r"# noqa: S\d+ - \w+", line), f"{name(path)}: {line.strip()}"


PAGE = sorted((ROOT / "k2stream/service/page").glob("*.js"))


@pytest.mark.parametrize("path", PAGE, ids=name)
def test_the_page_sets_texts_as_texts(path):
    """What an exchange or a client named is no HTML on the page."""
    text = path.read_text()
    for unsafe in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function"):
        assert unsafe not in text


def test_the_page_has_scripts():
    assert len(PAGE) > 10
