"""Right results, checks, and names of usual mistakes, by assignment."""
