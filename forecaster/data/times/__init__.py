"""How times are written: dates, times of day, zones, numbers; and which reading is meant."""
