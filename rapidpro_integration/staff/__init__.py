"""The pages below /staff/: what staff see of everybody's tokens, servers and work, and what they may do with them.

Each page has a permission of its own (`permissions.py`) and a module of queries with no view in it; `frame.py` is the
guard and the frame of all. No page shows what a token holds.
"""
