"""From files to clean documents: readers, cleaning, language, quality, personal data."""
