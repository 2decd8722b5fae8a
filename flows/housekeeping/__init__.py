"""What leaves a home: documents that are forgotten, and data that nothing reaches any more."""
