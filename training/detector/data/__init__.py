"""Photos and boxes of the detector: readers, cleaned labels, augmentation, the folder that ultralytics reads."""
