"""The networks of the assignments in minigrad: for pictures, and to step through in the debugger."""
