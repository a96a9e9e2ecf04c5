"""Choose the data type that ``auto`` stands for."""

from __future__ import annotations

from maskcast.core.device import choose_device, has_bfloat16
from maskcast.core.device_names import DeviceName, DtypeChoice, DtypeName, SharedDtype
from maskcast.methods.catalogue import DEFAULT_WEIGHTS, METHODS


def dtype_of(
    weights: str | None,
    dtype: DtypeChoice | SharedDtype,
    *,
    method: str | None = None,
    device: DeviceName = "auto",
) -> DtypeName:
    """Return the data type in which weights are used.

    Args:
        weights: name or path of the weights; None means the default weights of the method, or of
            the package.
        dtype: the data type, ``auto``, or ``shared_dtype`` of the machine that began the work.
        method: name of the method; None means that of the weights.
        device: device to compute on; matters for ``auto`` only.

    Raises:
        UsageError: the device is unknown or unavailable.
    """
    if dtype == "auto":
        dtype = shared_dtype(device)
    if dtype != "small-bfloat16":
        return dtype
    if weights is None:
        usual = {name: entry.default_weights for name, entry in METHODS.items()}
        weights = DEFAULT_WEIGHTS if method is None else usual.get(method)
    is_small = any(weights in entry.bfloat16_weights for entry in METHODS.values())
    return "bfloat16" if is_small else "float32"


def shared_dtype(device: DeviceName = "auto") -> SharedDtype:
    """Return what ``auto`` means on this machine, whatever the weights are.

    On GPUs it is float32, because lower precision has not been measured there.

    Raises:
        UsageError: the device is unknown or unavailable.
    """
    chosen = choose_device(device)
    return "small-bfloat16" if chosen.type == "cpu" and has_bfloat16(chosen) else "float32"
