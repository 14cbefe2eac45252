"""Statistics: intervals, tests, agreement and plots. Looks at no other room."""
