"""rnn/unrolling"""
