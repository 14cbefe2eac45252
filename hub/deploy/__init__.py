"""Deployment: the Space and its bundle, releases, and stages that run on HF Jobs."""
