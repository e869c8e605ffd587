"""The models on a CUDA device: the same functions and fused kernels; skipped where there is none."""

import re

import pytest
import torch

from .tiny import ATTENTION, TRAINED, TRANSFORMERS, H, V, batch, tiny, trained
from .watching import Made

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]
TARGET = torch.randn(8, H, V, generator=torch.Generator().manual_seed(9))


def on(device, inputs):
    return inputs._replace(**{k: v.to(device) for k, v in inputs._asdict().items() if v is not None})


@pytest.mark.parametrize("name", TRAINED)
def test_loss_and_gradients_are_those_of_the_cpu(name):
    found = []
    for device in ("cpu", "cuda"):
        model = tiny(name, **({} if name == "dlinear" else {"dropout": 0.0})).to(device).eval()
        # cuDNN has no backward pass of an LSTM in evaluation mode.
        with torch.backends.cudnn.flags(enabled="tft" not in name, allow_tf32=False):
            loss = model.loss(on(device, batch()), TARGET.to(device))
            gradients = torch.autograd.grad(loss, trained(model), allow_unused=True)
        found.append((loss.detach().cpu(), [g if g is None else g.cpu() for g in gradients]))
    (loss, gradients), (again, again_gradients) = found
    torch.testing.assert_close(again, loss, rtol=1e-4, atol=1e-5)
    for a, b in zip(gradients, again_gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", TRANSFORMERS)
def test_half_precision_is_close_and_trains(name, dtype):
    model = tiny(name, dropout=0.0).cuda()
    full = model.eval()(on("cuda", batch()))
    with torch.autocast("cuda", dtype=dtype):
        half = model(on("cuda", batch()))
        loss = model.train().loss(on("cuda", batch()), TARGET.cuda())
    loss.backward()
    assert (half.float() - full).pow(2).mean() < 0.01 * full.var()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize(
    ("dtype", "kernel"),
    # Torch takes cuDNN's flash kernel where there is one, as on Hopper.
    [(torch.bfloat16, "flash_attention|cudnn_attention"), (torch.float32, "efficient_attention")],
)
@pytest.mark.parametrize("name", ["patchtst", "itransformer", "informer"])
def test_attention_takes_a_fused_kernel_with_dropout_too(name, dtype, kernel):
    model = tiny(name, dropout=0.1, d_model=64, attention="fused").cuda().train()
    with Made() as made, torch.autocast("cuda", dtype=dtype, enabled=dtype is torch.bfloat16):
        model.loss(on("cuda", batch()), TARGET.cuda()).backward()
    assert any(re.search(kernel, operation) for operation in made.operations), sorted(set(made.operations))


@pytest.mark.parametrize("name", ATTENTION)
def test_fused_and_materialised_attention_are_the_same_function(name):
    fused, materialised = (
        tiny(name, dropout=0.0, attention=how).cuda().train() for how in ("fused", "materialised")
    )
    torch.manual_seed(3)
    loss = fused.loss(on("cuda", batch()), TARGET.cuda())
    torch.manual_seed(3)
    torch.testing.assert_close(
        materialised.loss(on("cuda", batch()), TARGET.cuda()), loss, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_checkpointing_takes_less_of_the_device(name):
    peaks = []
    for checkpoint in (False, True):
        model = tiny(name, checkpoint=checkpoint, lookback=384).cuda()
        inputs, target = on("cuda", batch(64, lookback=384)), torch.zeros(64, H, V, device="cuda")
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        model.loss(inputs, target).backward()
        peaks.append(torch.cuda.max_memory_allocated() - before)
    assert peaks[1] < 0.95 * peaks[0]
