"""What runs code where it is unpickled."""


class Hostile:
    """Unpickling it would call ``print``."""

    def __reduce__(self):
        return print, ('hostile code ran',)
