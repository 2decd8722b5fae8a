"""What a model answers and loses on the test rows."""
