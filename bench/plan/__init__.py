"""What will be run: the suite, and the plan that follows from it."""
