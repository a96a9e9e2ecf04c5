"""Read video files and folders of frames, frame by frame, and write video files."""
