"""The gallery of MedHub's models, made by `medhub space`. For research only."""

from medhub.demo import gallery, launch

launch(gallery(), say=print)
