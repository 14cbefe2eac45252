"""What tests of several rooms share: stand-ins, models, prompts."""
