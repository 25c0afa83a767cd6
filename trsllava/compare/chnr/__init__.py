"""CHNR: hash codes of pictures and texts, trained with pairs weighted by a discriminator."""
