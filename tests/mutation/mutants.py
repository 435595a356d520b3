"""One-line mutants of a source text: operators, comparisons, constants, conditions, statements, arguments.

Left alone: types, docstrings, texts of errors, what only writes to a log, and floats, which
are waits.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

OPERATORS = {
    ast.Add: "-", ast.Sub: "+", ast.Mult: "//", ast.FloorDiv: "*", ast.Div: "*", ast.Mod: "*",
    ast.Pow: "*", ast.LShift: ">>", ast.RShift: "<<", ast.BitAnd: "|", ast.BitOr: "&", ast.BitXor: "&",
}  # fmt: skip
COMPARISONS = {
    ast.Lt: "<=", ast.LtE: "<", ast.Gt: ">=", ast.GtE: ">", ast.Eq: "!=", ast.NotEq: "==",
    ast.Is: "is not", ast.IsNot: "is", ast.In: "not in", ast.NotIn: "in",
}  # fmt: skip
ANY_ORDER = {"min", "max", "np.minimum", "np.maximum"}
LOGS = ("log.", "logger.", "logging.", "self.log.")


@dataclass(frozen=True, slots=True)
class Mutant:
    """Bytes `start` to `end` of the file become `text`; the lines, from 1, are those of the statement."""

    path: str
    first_line: int
    last_line: int
    kind: str
    start: int
    end: int
    text: str

    def applied(self, source: bytes) -> bytes:
        """The mutant's source."""
        return source[: self.start] + self.text.encode() + source[self.end :]

    def key(self, source: bytes) -> str:
        """Names it wherever its statement stands in the file."""
        lines = source.splitlines()[self.first_line - 1 : self.last_line]
        at = self.start - sum(map(len, source.splitlines(keepends=True)[: self.first_line - 1]))
        text = " ".join(line.strip().decode() for line in lines)
        return f"{self.path}|{text}|{at}|{self.kind}|{self.text}"


def mutants(path: str, source: bytes) -> list[Mutant]:
    """All mutants of a file, in the order of its text; each compiles."""
    found = _Finder(path, source)
    found.visit(ast.parse(source))
    return sorted(
        {mutant for mutant in found.mutants if _compiles(mutant.applied(source))},
        key=lambda mutant: (mutant.start, mutant.end, mutant.kind, mutant.text),
    )


def _compiles(source: bytes) -> bool:
    try:
        compile(source, "mutant", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


class _Finder(ast.NodeVisitor):
    def __init__(self, path: str, source: bytes) -> None:
        self.mutants: list[Mutant] = []
        self._path, self._source = path, source
        self._lines = (1, 1)
        self._starts = [0]
        for line in source.splitlines(keepends=True):
            self._starts.append(self._starts[-1] + len(line))

    # What is looked at

    def visit(self, node: ast.AST) -> None:
        outer = self._lines
        if isinstance(node, ast.stmt):
            body = getattr(node, "body", None)
            end = max(node.lineno, body[0].lineno - 1) if body else node.end_lineno or node.lineno
            self._lines = node.lineno, end
        super().visit(node)
        self._lines = outer

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        for default in (*node.args.defaults, *filter(None, node.args.kw_defaults)):
            self.visit(default)
        for statement in node.body:
            self.visit(statement)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        for statement in node.body:
            self.visit(statement)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_Raise(self, node: ast.Raise) -> None:
        self._remove(node)

    def visit_Assert(self, node: ast.Assert) -> None:
        """An assertion is for readers and types."""

    def visit_If(self, node: ast.If) -> None:
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self._negate(node.test)
            self.generic_visit(node)

    def visit_While(self, node: ast.While) -> None:
        if not isinstance(node.test, ast.Constant):
            self._negate(node.test)
        self.generic_visit(node)

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self._negate(node.test)
        self.generic_visit(node)

    def visit_comprehension(self, node: ast.comprehension) -> None:
        for test in node.ifs:
            self._negate(test)
        self.generic_visit(node)

    def visit_Expr(self, node: ast.Expr) -> None:
        if isinstance(node.value, ast.Constant) or ast.unparse(node).startswith(LOGS):
            return
        self._remove(node)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        self._remove(node)
        self._operator(node, node.target, node.op, node.value)
        self.generic_visit(node)

    def visit_Delete(self, node: ast.Delete) -> None:
        self._remove(node)

    def visit_Break(self, node: ast.Break) -> None:
        self._remove(node)

    def visit_Continue(self, node: ast.Continue) -> None:
        self._remove(node)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        if isinstance(node.left, ast.Constant) and isinstance(node.left.value, str | bytes):
            return  # a text is formatted
        self._operator(node, node.left, node.op, node.right)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        old, new = (b"and", "or") if isinstance(node.op, ast.And) else (b"or", "and")
        for left, right in zip(node.values, node.values[1:], strict=False):
            self._between(node, "boolean", left, right, old, new)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        if isinstance(node.op, ast.Not | ast.Invert):
            self._replace(node, "negation", f"({self._text(node.operand)})")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for left, op, right in zip((node.left, *node.comparators), node.ops, node.comparators, strict=False):
            old = ast.unparse(ast.Compare(ast.Name("a"), [op], [ast.Name("a")]))[2:-2].encode()
            self._between(node, "comparison", left, right, old, COMPARISONS[type(op)])
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        pairs = [] if ast.unparse(node.func) in ANY_ORDER else zip(node.args, node.args[1:], strict=False)
        for left, right in pairs:
            starred = isinstance(left, ast.Starred) or isinstance(right, ast.Starred)
            if not starred and self._text(left) != self._text(right):
                swapped = f"{self._text(right)}, {self._text(left)}"
                self._put(node, "arguments", self._start(left), self._end(right), swapped)
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        if isinstance(node.value, bool):
            self._replace(node, "constant", str(not node.value))
        elif isinstance(node.value, int):
            self._replace(node, "constant", f"({self._text(node)} + 1)")
            self._replace(node, "constant", f"({self._text(node)} - 1)")

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """A text."""

    # How it is changed

    def _operator(self, node: ast.AST, left: ast.expr, op: ast.operator, right: ast.expr) -> None:
        new = OPERATORS.get(type(op))
        if new is not None:
            old = ast.unparse(ast.BinOp(ast.Name("a"), op, ast.Name("a")))[2:-2].encode()
            self._between(node, "operator", left, right, old, new)

    def _between(
        self, node: ast.AST, kind: str, left: ast.expr, right: ast.expr, old: bytes, new: str
    ) -> None:
        at = self._source.find(old, self._end(left), self._start(right))
        if at >= 0:
            self._put(node, kind, at, at + len(old), new)

    def _negate(self, test: ast.expr) -> None:
        self._replace(test, "condition", f"not ({self._text(test)})")

    def _remove(self, node: ast.stmt) -> None:
        self._replace(node, "statement", "pass")

    def _replace(self, node: ast.expr | ast.stmt, kind: str, text: str) -> None:
        self._put(node, kind, self._start(node), self._end(node), text)

    def _put(self, node: ast.AST, kind: str, start: int, end: int, text: str) -> None:
        self.mutants.append(Mutant(self._path, *self._lines, kind, start, end, text))

    def _start(self, node: ast.expr | ast.stmt) -> int:
        return self._starts[node.lineno - 1] + node.col_offset

    def _end(self, node: ast.expr | ast.stmt) -> int:
        assert node.end_lineno is not None and node.end_col_offset is not None
        return self._starts[node.end_lineno - 1] + node.end_col_offset

    def _text(self, node: ast.expr) -> str:
        return self._source[self._start(node) : self._end(node)].decode()


def line_of(mutant: Mutant, source: bytes) -> str:
    """The change, for reading: the old text and the new one, amid their line."""
    begin = source.rfind(b"\n", 0, mutant.start) + 1
    end = source.find(b"\n", mutant.end)
    before, after = source[begin : mutant.start].decode().lstrip(), source[mutant.end : end].decode()
    old = source[mutant.start : mutant.end].decode()
    return " ".join(f"{before}⟦{old} → {mutant.text}⟧{after}".split())
