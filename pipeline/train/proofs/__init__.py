"""What is proved of the data and of the model before the first step."""
