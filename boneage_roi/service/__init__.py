"""The web service: a page and a REST interface on one reader. Needs the extra ``serve``."""
