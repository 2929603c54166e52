#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
Reads the Parquet files below each directory with a PyTorch DataLoader of 4 workers, and prints
`rows sum(amount)` of each; with --shuffle in another order each time. Runs in the environment that sees Debian's PyTorch.
"""
import sys
from pathlib import Path

import pyarrow.parquet as pq
import torch
from torch.utils.data import DataLoader, Dataset


class Files(Dataset):
    """One item a file: how many rows it has, and the sum of their amounts."""

    def __init__(self, root):
        self.paths = sorted(str(p) for p in Path(root).rglob('*.parquet'))

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, i):
        amounts = pq.ParquetFile(self.paths[i]).read(columns=['amount'])['amount'].to_pylist()
        return torch.tensor([len(amounts), sum(amounts)], dtype=torch.int64)


directories = [a for a in sys.argv[1:] if a != '--shuffle']
shuffle = len(directories) < len(sys.argv) - 1
for directory in directories:
    total = torch.zeros(2, dtype=torch.int64)
    for batch in DataLoader(Files(directory), batch_size=2, num_workers=4, shuffle=shuffle):
        total += batch.sum(dim=0)
    print(*total.tolist(), flush=True)
