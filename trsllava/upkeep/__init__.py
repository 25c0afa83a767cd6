"""Looking after a store and its index as a whole: status, verify, prune."""
