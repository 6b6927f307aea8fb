"""What was in the cart, what changed, and what is wrong with it: tables in, tables out.

Every function takes a table of events (``recording_id``, ``seq``, ``event``, ``data``), wherever
that came from, and returns plain DataFrames, whose columns are declared in `schemas`. The public
functions, by module:

- `tables`: ``snapshots``, ``line_items``, ``shipments``, ``notices``, ``discounts``, and
  ``cart_tables`` for all at once: what was in the cart, tidy.
- `changes`: ``changes`` from snapshot to snapshot; ``summary`` says them in words.
- `checks`: ``checks`` and ``run_checks``: what should be true and is not; ``check`` adds one.
- `schema_watch`: ``field_presence``, ``presence_matrix``, ``schema_drift``: which fields merchants
  send, and what drifted.
- `features`, `explain`: ``features``, ``explain``, ``explain_in_words``: what explains slow orders.
- `display`, `changes_display`: ``cart_html``, ``cart_text``, ``changes_html``, ``changes_text``.
"""
