"""Expressions that test a claim: quantities with intervals, and comparisons that noise may leave open.

The language is a small part of Python's: numbers, quoted names, ``+ - * / **``, comparisons, ``in`` a list
of names, ``and``, ``or``, ``not``, and calls of known functions by position. Nothing else passes
:func:`parse`, and Python itself evaluates nothing.
"""

import ast
import math
import operator
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from itertools import pairwise

from formerbench.errors import StatedError, nearest

NOISE = "within noise"
_LONGEST = 600  # characters
_ARITHMETIC = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_COMPARISONS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Eq, ast.NotEq, ast.In, ast.NotIn)
_ALLOWED = (
    *(ast.Expression, ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.BinOp, ast.Compare),
    *(ast.Call, ast.Name, ast.Load, ast.Constant, ast.Tuple),
    *_ARITHMETIC,
    *_COMPARISONS,
)


class NotMeasured(Exception):
    """What an expression asks for is not in the tables; the message says what."""


@dataclass(frozen=True)
class Quantity:
    """A number between ``low`` and ``high``; ``note`` says why it is not known better, if not for noise."""

    value: float
    low: float
    high: float
    note: str = ""

    @classmethod
    def exact(cls, value: float) -> "Quantity":
        return cls(float(value), float(value), float(value))


@dataclass(frozen=True)
class Choice:
    """Who is best; ``among`` holds it and all that noise cannot tell from it."""

    best: str
    among: frozenset[str]


@dataclass(frozen=True)
class Truth:
    """Whether something is so; None where that is not known, and ``why``."""

    known: bool | None
    why: str = ""


@dataclass(frozen=True)
class Result:
    """What an expression comes to.

    Attributes:
        terms: what was compared and what it came to, in the expression's words.
    """

    truth: Truth
    terms: tuple[tuple[str, Quantity | Choice | Truth], ...]


def parse(text: str, names: Collection[str], where: str) -> ast.Expression:
    """The syntax tree of an expression.

    Args:
        names: of the functions that may be called, besides those of ``MATH``.
        where: the claim, for the message.

    Raises:
        StatedError: no expression, or one with anything that is not part of the language.
    """
    if len(text) > _LONGEST:
        raise StatedError(f"{where}: a test has at most {_LONGEST} characters, this one {len(text)}")
    try:
        tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise StatedError(f"{where}: '{text}' is not an expression: {error}") from None
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    known = {*MATH, *names}
    for node in ast.walk(tree):
        problem = _problem(node, called, known)
        if problem:
            raise StatedError(f"{where}: {problem} in '{text}'")
    return tree


def _problem(node: ast.AST, called: set[int], known: set[str]) -> str | None:
    if not isinstance(node, _ALLOWED):
        return f"{type(node).__name__} is not part of the language"
    if isinstance(node, ast.Constant) and type(node.value) not in (int, float, str):
        return f"{node.value!r} is neither a number nor a name in quotes"
    if isinstance(node, ast.Call) and not isinstance(node.func, ast.Name):
        return "only functions can be called, by their name,"
    if isinstance(node, ast.Name):
        if id(node) not in called:
            return f"'{node.id}' is no function that is called (names of models stand in quotes)"
        if node.id not in known:
            return f"there is no function '{node.id}'{nearest(node.id, known)}"
    return None


def calls(tree: ast.AST) -> set[str]:
    """Names of the functions that an expression calls."""
    return {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call)}


def evaluate(tree: ast.Expression, functions: Mapping[str, Callable], where: str) -> Result:
    """What a parsed expression comes to.

    Args:
        functions: those over the tables. They take strings and numbers, give a :class:`Quantity`,
            :class:`Choice` or :class:`Truth`, and raise :class:`NotMeasured`.

    Raises:
        StatedError: values of the wrong kind.
    """
    run = _Run(tree, functions, where)
    try:
        truth = run.truth(tree.body)
    except (TypeError, ArithmeticError, ValueError) as error:
        raise StatedError(f"{where}: '{ast.unparse(tree)}' cannot be evaluated: {error}") from None
    return Result(truth, tuple(run.terms.items()))


class _Run:
    """One evaluation."""

    def __init__(self, tree: ast.AST, functions: Mapping[str, Callable], where: str):
        self.functions, self.where, self.terms = functions, where, {}
        self.plain = not calls(tree) & set(functions)

    def truth(self, node: ast.expr) -> Truth:
        if isinstance(node, ast.BoolOp):
            parts = [self.truth(part) for part in node.values]
            return every(parts) if isinstance(node.op, ast.And) else _opposite(every(map(_opposite, parts)))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return _opposite(self.truth(node.operand))
        try:
            found = self._compared(node) if isinstance(node, ast.Compare) else self.value(node)
        except NotMeasured as missing:
            return Truth(None, str(missing))
        if not isinstance(found, Truth):
            raise StatedError(f"{self.where}: wanted a comparison, came '{ast.unparse(node)}'")
        return found

    def _compared(self, node: ast.Compare) -> Truth:
        sides = [self._term(side) for side in (node.left, *node.comparators)]
        return every(_step(sign, *pair) for sign, pair in zip(node.ops, pairwise(sides), strict=True))

    def _term(self, node: ast.expr):
        """The value of something compared, which the reader is shown unless it is plain."""
        found = self.value(node)
        if calls(node) & set(self.functions) or (self.plain and isinstance(node, ast.BinOp | ast.Call)):
            self.terms[ast.unparse(node)] = found
        return found

    def value(self, node: ast.expr):
        if isinstance(node, ast.Constant):
            return node.value if isinstance(node.value, str) else Quantity.exact(node.value)
        if isinstance(node, ast.Tuple):
            return tuple(self.value(element) for element in node.elts)
        if isinstance(node, ast.BinOp):
            return combine(_ARITHMETIC[type(node.op)], self.value(node.left), self.value(node.right))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return combine(operator.sub, Quantity.exact(0), self.value(node.operand))
        if isinstance(node, ast.Call):
            return self._called(node)
        raise StatedError(f"{self.where}: wanted a value, came '{ast.unparse(node)}'")

    def _called(self, node: ast.Call):
        name = node.func.id
        if name in MATH:
            shown = self._term if name in _TRUTHS else self.value
            return MATH[name](*[shown(argument) for argument in node.args])
        found = self.functions[name](*[_plain(self.value(argument)) for argument in node.args])
        if isinstance(found, Truth):
            self.terms[ast.unparse(node)] = found
        return found


def _plain(value):
    if isinstance(value, str):
        return value
    if not isinstance(value, Quantity) or value.low != value.high:
        raise TypeError("functions of tables take names and plain numbers")
    return int(value.value) if value.value.is_integer() else value.value


def combine(operation: Callable, a: Quantity, b: Quantity) -> Quantity:
    """An operation on two quantities, monotone in each: its extremes are at the ends of the intervals."""
    _numbers(a, b)
    if operation is operator.truediv and b.low <= 0 <= b.high:
        raise ArithmeticError("division by what may be 0")
    if operation is operator.pow and a.low <= 0:
        raise ArithmeticError("a power of what may be 0 or less")
    ends = [operation(x, y) for x in (a.low, a.high) for y in (b.low, b.high)]
    low, high = (-math.inf, math.inf) if any(map(math.isnan, ends)) else (min(ends), max(ends))
    return Quantity(operation(a.value, b.value), low, high, a.note or b.note)


def _numbers(*values) -> None:
    if not all(isinstance(value, Quantity) for value in values):
        raise TypeError("wanted numbers")


def every(truths) -> Truth:
    """Whether all are so: one that is not so decides, whatever the others."""
    truths = list(truths)
    if any(one.known is False for one in truths):
        return Truth(False)
    open_ones = [one.why for one in truths if one.known is None]
    return Truth(None, "; ".join(dict.fromkeys(open_ones))) if open_ones else Truth(True)


def _opposite(truth: Truth) -> Truth:
    return truth if truth.known is None else Truth(not truth.known)


def _step(sign: ast.cmpop, a, b) -> Truth:
    if isinstance(sign, ast.In | ast.NotIn):
        found = _chosen(a, b)
        return found if isinstance(sign, ast.In) else _opposite(found)
    if isinstance(sign, ast.Eq | ast.NotEq):
        found = _same(a, b)
        return found if isinstance(sign, ast.Eq) else _opposite(found)
    _numbers(a, b)
    if isinstance(sign, ast.Gt | ast.GtE):
        a, b = b, a
    return _less(a, b, isinstance(sign, ast.LtE | ast.GtE))


def _chosen(a, names) -> Truth:
    """Whether a choice is one of some names."""
    among = a.among if isinstance(a, Choice) else {a}
    if not isinstance(names, tuple) or not all(isinstance(name, str) for name in (*among, *names)):
        raise TypeError("'in' wants a name and a list of names")
    if among <= set(names):
        return Truth(True)
    return Truth(None, NOISE) if among & set(names) else Truth(False)


def _same(a, b) -> Truth:
    if isinstance(a, Quantity) and isinstance(b, Quantity):
        if a.low != a.high or b.low != b.high:
            raise TypeError("measured numbers are never equal; say near(a, b, factor)")
        return Truth(a.value == b.value)
    return _chosen(a, (b,))


def _less(a: Quantity, b: Quantity, or_equal: bool) -> Truth:
    if a.high < b.low or (or_equal and a.high <= b.low):
        return Truth(True)
    if a.low > b.high or (not or_equal and a.low >= b.high):
        return Truth(False)
    return Truth(None, a.note or b.note or NOISE)


def _near(a: Quantity, b: Quantity, factor: Quantity) -> Truth:
    """Whether the ratio of the two lies between 1/factor and factor."""
    ratio = combine(operator.truediv, a, b)
    return every(
        [_less(combine(operator.truediv, Quantity.exact(1), factor), ratio, True), _less(ratio, factor, True)]
    )


def _log(a: Quantity) -> Quantity:
    _numbers(a)
    ends = [math.log(x) if x > 0 else -math.inf for x in (a.low, a.high)]
    return Quantity(math.log(a.value), *ends, a.note)


def _extreme(pick: Callable) -> Callable:
    def of(*values: Quantity) -> Quantity:
        _numbers(*values)
        ends = [pick(getattr(value, end) for value in values) for end in ("value", "low", "high")]
        return Quantity(*ends, next((value.note for value in values if value.note), ""))

    return of


MATH = {"log": _log, "min": _extreme(min), "max": _extreme(max), "near": _near}
_TRUTHS = ("near",)
