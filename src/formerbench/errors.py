"""The one exception that a user is meant to read."""


class StatedError(Exception):
    """A failure whose message says what was wanted, what came and what to do; shown without a traceback."""


class WriteError(StatedError):
    """A file that could not be written, which tells nothing about the model: it never becomes a row."""

    @classmethod
    def of(cls, path, error: OSError) -> "WriteError":
        """With the path and the system's reason, such as a full disk."""
        reason = (error.strerror or str(error)).lower()
        return cls(f"cannot write {path}: {reason}; what was there is kept, so mend that and start again")


class DamagedFile(StatedError):
    """A result that was cut off or changed since it was written; what reads it must not go on without it."""

    @classmethod
    def of(cls, path, error: Exception) -> "DamagedFile":
        """With the path and what the reader said."""
        return cls(f"{path} is damaged: {' '.join(str(error).split())}; delete it and start again")


def nearest(wrong: str, valid) -> str:
    """Return ``" (did you mean 'x'?)"`` for the valid name closest to ``wrong``, or an empty string."""
    from difflib import get_close_matches

    close = get_close_matches(wrong, list(valid), n=1, cutoff=0.5)
    return f" (did you mean '{close[0]}'?)" if close else ""
