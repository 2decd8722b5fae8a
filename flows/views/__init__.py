"""What is shown of a home: trace, cards, status, plan, report."""
