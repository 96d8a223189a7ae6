"""rnn/compiler"""
