"""A debug adapter: editors step through backward passes with their own buttons, in both directions.

    python -m minigrad.debugger --dap

speaks the Debug Adapter Protocol on its standard input and output; there is no socket. Two processes work together:
the editor starts `front`, which starts the program to be debugged in `debuggee`, with the interpreter and the folder
that the editor asks for. Each message is passed on between them as it is; the front answers only requests about the
process, and tells the editor how it ended, whatever way that was.

`messages` reads and writes messages, at both ends. In the debuggee `session` answers requests in each backward pass,
`places` holds the breakpoints, `stack` the frames, `variables` the arrays that are shown; `expressions` evaluates, and
`streams` sends what the program prints. The modules of the folder above do the work.
"""
