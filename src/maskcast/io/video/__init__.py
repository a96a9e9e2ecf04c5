"""Videos: files and folders of frames, read frame by frame; video files, written."""
