"""Files to clean documents and chunks, with the lineage of each passage."""
