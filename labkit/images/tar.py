"""Which entries does a tar hold, and where do their bytes lie?"""
