"""The exceptions that lnnc raises; all derive from `Error`."""


class Error(Exception):
    """The base of every error that lnnc raises."""


class CompileError(Error):
    """A model could not be compiled: it is damaged, inconsistent, or the compiler failed on it."""


class UnsupportedError(CompileError):
    """A model uses something that lnnc does not support; the message lists all of it."""


class InputError(Error, ValueError):
    """An argument does not fit: a wrong shape, dtype or name, a missing input, a failed check."""


class LoadError(Error):
    """An artifact could not be loaded: damaged, from a newer version, or for another machine."""


class CompileWarning(UserWarning):
    """What the compiler warns of, for a model that it did compile."""
