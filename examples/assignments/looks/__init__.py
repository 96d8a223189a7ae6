"""What looks at the answers, by assignment: pure data and no solution, so that a students' kit can hold it."""
