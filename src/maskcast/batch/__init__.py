"""Segment many videos: manifests, worker processes, retries, reports. Knows no method."""
