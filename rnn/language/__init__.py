"""rnn/language"""
