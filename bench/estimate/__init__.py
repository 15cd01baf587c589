"""What a run will cost, said before anything is computed: time, memory and disk.

`work` is what is to be done, `forecast` what that is expected to take: from rates that earlier runs
and `time` measured on this machine (`bench.records.rates`), else from the operations that were
counted once for what ships with this project (`operations`), at the rate of matrix products that is
measured now (`matmul`).
"""
