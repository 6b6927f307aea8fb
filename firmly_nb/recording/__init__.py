"""From bytes on a socket to a Recording."""
