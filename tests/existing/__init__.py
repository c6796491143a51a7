"""Existing projects, as owners have edited them: make test PROJECT=../my-service."""
