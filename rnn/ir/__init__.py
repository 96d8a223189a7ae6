"""rnn/ir"""
