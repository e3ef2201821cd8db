"""Commands about single decisions and about decisions that came true."""
