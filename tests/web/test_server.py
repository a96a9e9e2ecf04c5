from contract.coloured_video import true_mask


def test_a_clip_is_marked_and_tracked(server):
    project, run = server.open()
    assert project["video"]["count"] == 12
    server.paint(0, {1: true_mask(1, 0), 2: true_mask(2, 0)})
    assert (run / "prompts" / "00000.png").is_file()
    job = server.track()
    assert job["state"] == "done", job
    assert (run / "00011.png").is_file()
    assert server.project()["stamps"]
