"""How a table stands: names of columns, times, names of series, values; upright or turned."""
