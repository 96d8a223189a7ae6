"""rnn/export"""
