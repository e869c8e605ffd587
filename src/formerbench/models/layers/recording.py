"""What modules were given in one pass, for :meth:`explain`: the pass itself is not changed."""

from collections.abc import Callable, Iterable

from torch import nn


def inputs_of(modules: Iterable[nn.Module], run: Callable[[], object]) -> list[tuple]:
    """The positional inputs of each of ``modules`` in the last call that ``run`` made of it."""
    modules, seen = list(modules), {}
    hooks = [module.register_forward_pre_hook(seen.__setitem__) for module in modules]
    try:
        run()
    finally:
        for hook in hooks:
            hook.remove()
    return [seen[module] for module in modules]
