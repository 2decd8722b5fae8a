"""What a training does on a GPU alone: attention of packed rows, kernels of Liger."""
