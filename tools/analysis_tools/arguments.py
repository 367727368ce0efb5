"""What command lines take."""


def positive(text: str) -> int:
    """Read a positive number.

    Raises:
        ValueError: If it is none; argparse then refuses the argument by its name.
    """
    if int(text) < 1:
        raise ValueError
    return int(text)
