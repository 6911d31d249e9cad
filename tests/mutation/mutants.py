"""Mutants of a module: its source with one small mistake each."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass

# what each operator is mistaken for
COMPARED: dict[type, tuple[type, ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
COMPUTED: dict[type, type] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.Mult,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.MatMult: ast.Mult,
}
# calls that give something of the same shape, and so may be forgotten
METHODS = {"clamp", "abs", "sqrt", "log", "exp", "detach", "flip", "nan_to_num", "round", "flatten"}
OF_ONE = {"nan_to_num", "round", "abs", "sorted", "tuple"}
OF_MANY = {"max", "min", "maximum", "minimum", "where"}


@dataclass(frozen=True)
class Mutant:
    """``name`` does not depend on where the code stands: the function, and old → new."""

    line: int
    name: str
    source: str


@dataclass(frozen=True)
class Change:
    """A field of a node, or an entry of a list in it, and what it becomes."""

    parent: ast.AST
    field: str
    place: int | None
    new: ast.AST

    def swap(self, node: ast.AST) -> ast.AST:
        """Put ``node`` there, and give what was there."""
        held = getattr(self.parent, self.field)
        if self.place is None:
            setattr(self.parent, self.field, node)
            return held
        old, held[self.place] = held[self.place], node
        return old


def mutants(source: str) -> Iterator[Mutant]:
    """Each mutant once, in the order of the source."""
    tree, seen = ast.parse(source), {ast.unparse(ast.parse(source))}
    for change, owner in _changes(tree, ""):
        old, mutated, name = _made(tree, change)
        if mutated not in seen:
            seen.add(mutated)
            yield Mutant(getattr(old, "lineno", 0), f"{owner}: {name}", mutated)


def _made(tree: ast.Module, change: Change) -> tuple[ast.AST, str, str]:
    """What was replaced, the source with the mistake, and old → new (of a number: around it)."""
    around = change.parent
    shown = _shown(around)
    old = change.swap(change.new)
    mutated, wrong = ast.unparse(tree), _shown(around)
    change.swap(old)
    if isinstance(old, ast.Constant):
        return old, mutated, f"{shown} → {wrong}"
    return old, mutated, f"{_shown(old)} → {_shown(change.new)}"


def _shown(node: ast.AST) -> str:
    return " ".join(ast.unparse(node).split())


def _changes(parent: ast.AST, owner: str) -> Iterator[tuple[Change, str]]:
    """All changes below a node; annotations, decorators and docstrings stay as they are."""
    for field, held in ast.iter_fields(parent):
        if field in {"annotation", "returns", "decorator_list"}:
            continue
        for place, child in enumerate(held) if isinstance(held, list) else [(None, held)]:
            if isinstance(child, ast.AST) and not _is_fixed(parent, child):
                for new in _mistakes(child):
                    yield Change(parent, field, place, new), owner
                yield from _changes(child, _inside(owner, child))


def _inside(owner: str, node: ast.AST) -> str:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return f"{owner}.{node.name}" if owner else node.name
    return owner


def _is_fixed(parent: ast.AST, child: ast.AST) -> bool:
    """Imports, a docstring, and what only checks lengths."""
    docstring = isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant)
    checked = isinstance(parent, ast.keyword) and parent.arg == "strict"
    return docstring or checked or isinstance(child, ast.Import | ast.ImportFrom)


def _mistakes(node: ast.AST) -> Iterator[ast.AST]:
    """What may stand in a node's place."""
    for kind, made in MISTAKES.items():
        if isinstance(node, kind):
            yield from made(node)


def _of_compare(node: ast.Compare) -> Iterator[ast.AST]:
    for i, op in enumerate(node.ops):
        for other in COMPARED[type(op)]:
            ops = [*node.ops[:i], other(), *node.ops[i + 1 :]]
            yield ast.Compare(node.left, ops, node.comparators)


def _of_arithmetic(node: ast.BinOp) -> Iterator[ast.AST]:
    yield ast.BinOp(node.left, COMPUTED[type(node.op)](), node.right)
    yield node.left
    if isinstance(node.op, ast.Add | ast.Mult | ast.Div | ast.BitAnd | ast.BitOr):
        yield node.right


def _of_update(node: ast.AugAssign) -> Iterator[ast.AST]:
    yield ast.AugAssign(node.target, COMPUTED[type(node.op)](), node.value)
    yield ast.Pass()


def _of_constant(node: ast.Constant) -> Iterator[ast.AST]:
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int):
        yield from (ast.Constant(node.value + 1), ast.Constant(node.value - 1))
    elif isinstance(node.value, float):
        yield from (ast.Constant(2 * node.value), ast.Constant(node.value + 1))


def _of_logic(node: ast.BoolOp) -> Iterator[ast.AST]:
    yield ast.BoolOp(ast.Or() if isinstance(node.op, ast.And) else ast.And(), node.values)
    yield from node.values


def _of_sign(node: ast.UnaryOp) -> Iterator[ast.AST]:
    yield node.operand


def _of_call(node: ast.Call) -> Iterator[ast.AST]:
    method, name = isinstance(node.func, ast.Attribute), _called(node)
    if name == "round" and len(node.args) == 1:
        yield ast.Call(ast.Name("int"), node.args, [])
    if (name in OF_MANY and len(node.args) > 1) or (name in OF_ONE and node.args):
        yield from (arg for arg in node.args[name == "where" :] if not isinstance(arg, ast.Starred))
    elif method and name in METHODS:
        yield node.func.value


def _called(node: ast.Call) -> str:
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def _of_choice(node: ast.IfExp) -> Iterator[ast.AST]:
    yield from (node.body, node.orelse)


def _of_if(node: ast.If) -> Iterator[ast.AST]:
    yield ast.If(ast.UnaryOp(ast.Not(), node.test), node.body, node.orelse)


def _of_slice(node: ast.Slice) -> Iterator[ast.AST]:
    if node.lower is not None:
        yield ast.Slice(None, node.upper, node.step)
    if node.upper is not None:
        yield ast.Slice(node.lower, None, node.step)


def _of_return(node: ast.Return) -> Iterator[ast.AST]:
    if node.value is not None:
        yield ast.Return(None)


def _of_statement(node: ast.stmt) -> Iterator[ast.AST]:
    yield ast.Pass()


MISTAKES = {
    ast.Compare: _of_compare,
    ast.BinOp: _of_arithmetic,
    ast.AugAssign: _of_update,
    ast.Constant: _of_constant,
    ast.BoolOp: _of_logic,
    ast.UnaryOp: _of_sign,
    ast.Call: _of_call,
    ast.IfExp: _of_choice,
    ast.If: _of_if,
    ast.Slice: _of_slice,
    ast.Return: _of_return,
    ast.Expr: _of_statement,
    ast.Break: _of_statement,
}
