"""Expression classification: crops, classifier, network, quality, and occlusion heatmaps."""
