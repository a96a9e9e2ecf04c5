"""Pictures a person looks at: overlays and contact sheets."""
