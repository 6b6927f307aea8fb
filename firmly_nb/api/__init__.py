"""The firmly API as it is on the wire: models, money, card encryption, errors, client."""
