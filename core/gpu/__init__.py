"""What the machine has and how busy it is: GPUs through NVML, processor, memory and disk through psutil.

NVML runs in child processes only, because a GPU that falls off the bus can crash or hang whoever asks it. This room
must not import torch, and it only looks: it signals no process and changes no setting of a device.
"""
