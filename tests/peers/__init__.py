"""Our six transformers against neuralforecast's, on the same tensors: `make bench`.

What is compared: one training step (zero_grad, forward, mean squared error, backward, fused Adam) and one
inference of the bare modules, both eager, in fp32, on the CPU, with the same number of threads. Left out on
both sides: data loading, Lightning, the window scaler. Nothing here is a test that pytest collects.
"""
