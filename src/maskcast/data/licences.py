"""What the data that weights were trained on allow; for model cards."""

from __future__ import annotations

SMALL_DATA = (
    "research and evaluation only, whatever the licence of the code: trained on DAVIS 2016 "
    "(CC BY-NC 4.0), PASCAL VOC 2012 and SBD (Flickr terms, research), COCO 2017 (CC BY 4.0), "
    "Oxford-IIIT Pet (CC BY-SA 4.0) and research collections, from a trunk trained on Tiny "
    "ImageNet (ImageNet: non-commercial research)"
)
"""Of ``lwl-small-0.1``."""
SMALL_REAL_DATA = (
    "research and evaluation only, whatever the licence of the code: trained on DAVIS 2016 and "
    "2017 (CC BY-NC 4.0), SegTrack v2 (research), PASCAL VOC 2012 and SBD (Flickr terms, "
    "research), COCO 2017 (annotations CC BY 4.0; pictures under Flickr terms), Oxford-IIIT Pet "
    "(CC BY-SA 4.0) and research collections, from the trunk of lwl-small"
)
"""Of ``agame-small``."""
