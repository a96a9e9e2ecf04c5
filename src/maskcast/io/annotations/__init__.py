"""Write masks in the formats of annotation and training programs."""
