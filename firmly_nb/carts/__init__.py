"""What was in the cart, what changed, and what is wrong with it: tables in, tables out."""
