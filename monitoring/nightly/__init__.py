"""The nightly judgement: is the model still fit?"""
