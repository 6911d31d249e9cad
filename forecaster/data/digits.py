"""Numbers as text, without the loss of a digit."""


def shortest(value: float) -> str:
    """The shortest decimal that reads back as ``value``, without a point if it is whole."""
    return repr(float(value)).removesuffix(".0")
