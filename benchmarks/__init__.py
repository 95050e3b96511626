"""How fast and how big is the lab, beside what else does the same job?"""
