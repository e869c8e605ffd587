"""Time marks: calendar features of each time step, scaled to [-0.5, 0.5]."""

import numpy as np

MARK_KINDS = {
    "h": ("hour of day", "day of week", "day of month", "day of year"),
    "t": ("minute of hour", "hour of day", "day of week", "day of month", "day of year"),
    "d": ("day of week", "day of month", "day of year"),
}


def time_marks(timestamps: np.ndarray, kind: str = "h") -> np.ndarray:
    """Calendar features of ``timestamps`` (t,) datetime64 as float32 (t, f).

    The features of a kind, in order, are ``MARK_KINDS[kind]``; each is a count divided by its largest
    value, minus one half. Kind ``h`` is what the official scripts use for every data set here (the
    ``timeF`` encoding of Informer, https://arxiv.org/abs/2012.07436, and its successors).

    Raises:
        KeyError: ``kind`` is none of ``MARK_KINDS``.
    """
    seconds = timestamps.astype("datetime64[s]")
    day = seconds.astype("datetime64[D]")
    second_of_day = (seconds - day).astype(np.int64)
    features = {
        "minute of hour": (second_of_day // 60 % 60) / 59,
        "hour of day": (second_of_day // 3600) / 23,
        "day of week": ((day.astype(np.int64) + 3) % 7) / 6,  # 1970-01-01 was a Thursday, Monday is 0
        "day of month": (day - day.astype("datetime64[M]")).astype(np.int64) / 30,
        "day of year": (day - day.astype("datetime64[Y]")).astype(np.int64) / 365,
    }
    return np.stack([features[name] for name in MARK_KINDS[kind]], axis=1).astype(np.float32) - np.float32(
        0.5
    )
