"""Part I's running example: four answers to *What is the capital of Australia?*, their reference and reward."""

import numpy as np

ANSWERS = ("Canberra", "Sydney", "I don't know", "Melbourne")
REF_LOG_P = np.log([0.2, 0.4, 0.3, 0.1])
REWARD = np.array([1.0, 0.0, 0.6, 0.0])
