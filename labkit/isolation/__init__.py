"""How is a process isolated, by hand and in the real engine? Namespace experiments.

| module | question |
|---|---|
"""
