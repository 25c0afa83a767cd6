"""From a query to hits with evidence."""
