"""Many orders on a schedule, within a budget; begun by ``lab.sweep`` and ``lab.start_sweep``."""
