"""Muon (Jordan et al. 2024): momentum whose matrices are brought near to orthogonal before they are applied.

Scaled as in Moonlight (Liu et al. 2025), so that the rate and the weight decay of AdamW serve: the root mean square of
an update is 0.2 whatever the matrix's shape.
"""

import torch

STEPS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """A matrix with about the same singular vectors and singular values near one: five Newton–Schulz steps, in bf16."""
    a, b, c = COEFFICIENTS
    x = matrix.bfloat16()
    turned = x.shape[0] > x.shape[1]
    x = x.T if turned else x
    x = x / (x.norm() + 1e-7)
    for _ in range(STEPS):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return (x.T if turned else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """For weights of two or more axes; convolutions count as `[out, in × height × width]`."""

    def __init__(self, weights, lr: float, weight_decay: float, momentum: float = 0.95):
        super().__init__(weights, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})

    @torch.no_grad()
    def step(self) -> None:
        for group in self.param_groups:
            for weight in group["params"]:
                state = self.state[weight]
                if "moved" not in state:
                    state["moved"] = torch.zeros_like(weight)
                moved = state["moved"].lerp_(weight.grad, 1 - group["momentum"])
                update = weight.grad.lerp(moved, group["momentum"]).flatten(1)
                update = orthogonal(update) * (0.2 * max(update.shape) ** 0.5)
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                weight.add_(update.view_as(weight), alpha=-group["lr"])
