"""What holds for every test."""

import hypothesis

# How long one example takes says how busy the machine is, not whether the code is right.
hypothesis.settings.register_profile("steady", deadline=None)
hypothesis.settings.load_profile("steady")
