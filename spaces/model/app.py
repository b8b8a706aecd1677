"""A model's demo, made by `medhub space`. For research only."""

import medhub
from medhub.demo import build, launch

launch(build(medhub.from_pretrained("$name")), say=print)
