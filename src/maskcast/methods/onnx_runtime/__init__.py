"""Segment videos with graphs exported by maskcast (Apache-2.0), without PyTorch.

Needs NumPy and onnxruntime; as a program also Pillow and PyAV. The file may be copied.

    session = Session("lwl-small-onnx")
    state = session.start()
    for frame in frames:
        state, masks = session.step(state, frame, prompts)

    frame      3 × height × width, float32, RGB, 0..1
    prompts    by object id: a mask (bool, height × width), a ``Box``, or ``ABSENT``
    masks      ids; probabilities, objects × height × width; presence of each object, 0..1, or None

A state is a tuple of arrays and numbers that is never modified, so an earlier one may be continued.
``arrays_of`` and ``state_of`` convert it for ``numpy.savez`` and back.
"""
