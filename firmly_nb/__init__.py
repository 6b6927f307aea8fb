"""Place staging orders through firmly and record every event with a time that can be trusted."""
