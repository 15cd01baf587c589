"""What every forked run would find out anew: preloaded by the server that runs are forked from."""

import gc

import numpy as np
import torch

from bench.api import Audio
from bench.estimate.matmul import matmul_rate
from bench.run.calibration import kernel_s
from bench.run.provenance import installed_packages
from metrics.chroma import chroma

torch.set_num_threads(1)  # as in the forks; and a server that has started threads must not fork
installed_packages()
matmul_rate("cpu")  # a quarter of a second of products, kept in the process
kernel_s("cpu")
chroma(Audio(np.ones((1, 16_000), np.float32), 16_000))  # librosa imports its parts on first use
gc.collect()
gc.freeze()  # what is never looked at is not copied for each fork
