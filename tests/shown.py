"""What a person reads of an object, for tests of its words."""


def whole(shown):
    """Its text without the line breaks, which move with the digits of a time."""
    return repr(shown).replace("\n  ", " ")
