"""formerbench: a reproducible benchmark of six time-series transformers.

Axis legend of the whole package: ``b`` batch, ``t`` time, ``v`` variate, ``h`` heads, ``d`` feature,
``s`` source position, ``f`` time mark, ``q`` quantile. ``L`` is the lookback, ``H`` the horizon.
MB is 2**20 bytes everywhere.

Importing this package imports neither torch nor pandas.
"""

__version__ = "0.1.0"
