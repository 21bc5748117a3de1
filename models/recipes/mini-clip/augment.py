"""Augmentation of a whole batch at once. Pictures are premultiplied RGBA in 0…1, `[b, 4, side, side]`, until composed."""

import math

import torch
import torch.nn.functional as F

GREY = torch.tensor([0.299, 0.587, 0.114])


def between(low: float, high: float, *shape: int) -> torch.Tensor:
    return torch.rand(*shape) * (high - low) + low


def chance(probability: float, count: int) -> torch.Tensor:
    """`[count, 1, 1, 1]` of zeros and ones."""
    return (torch.rand(count, 1, 1, 1) < probability).float()


def warped(x: torch.Tensor, side: int) -> torch.Tensor:
    """Turned, stretched, moved, flipped; `x` may have any side."""
    b = len(x)
    angle = between(-1, 1, b) ** 3 * math.radians(40)
    size = between(0.65, 1.15, b)
    stretch = torch.exp(between(-0.3, 0.3, b))
    flip = torch.where(torch.rand(b) < 0.5, -1.0, 1.0)
    wide, high = flip / (size * stretch), stretch / size
    slant = between(-0.15, 0.15, b)
    room = (1 - size).abs() * 0.7 + 0.08
    right, down = between(-1, 1, b) * room, between(-1, 1, b) * room
    rows = torch.stack(
        [
            torch.stack([wide * angle.cos(), wide * (slant - angle.sin()), wide * right], 1),
            torch.stack([high * angle.sin(), high * angle.cos(), high * down], 1),
        ],
        1,
    )
    grid = F.affine_grid(rows, [b, 4, side, side], align_corners=False)
    return F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


def outlined(x: torch.Tensor) -> torch.Tensor:
    """Some pictures get dark edges, as drawings have; a few of them lose their fill."""
    b = len(x)
    chosen = torch.nonzero(torch.rand(b) < 0.2)[:, 0]
    if len(chosen) == 0:
        return x
    part = x[chosen]
    plane = torch.cat([part[:, 3:], (part[:, :3] * GREY.view(1, 3, 1, 1)).sum(1, keepdim=True)], 1)
    spread = F.max_pool2d(plane, 3, 1, 1) + F.max_pool2d(-plane, 3, 1, 1)
    edge = (spread.amax(1, keepdim=True) * between(0.6, 1.8, len(chosen), 1, 1, 1)).clamp(0, 1)
    empty = chance(0.25, len(chosen))
    colour = part[:, :3] * (1 - empty) + part[:, 3:] * empty
    alpha = torch.maximum(part[:, 3:], edge)
    x = x.clone()
    x[chosen] = torch.cat([colour * (1 - edge), alpha], 1)
    return x


def recoloured(x: torch.Tensor) -> torch.Tensor:
    """Hue, saturation, contrast and brightness as one matrix a picture."""
    b = len(x)
    angle = between(-1, 1, b) ** 3 * math.radians(60)
    cos, sin = angle.cos().view(b, 1, 1), angle.sin().view(b, 1, 1)
    third = torch.full((1, 3, 3), 1 / 3)
    turn = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    hue = cos * torch.eye(3) + (1 - cos) * third + sin * turn
    grey = GREY.view(1, 1, 3).expand(1, 3, 3)
    amount = between(0.4, 1.5, b).view(b, 1, 1) * (torch.rand(b, 1, 1) > 0.08)
    saturation = amount * torch.eye(3) + (1 - amount) * grey
    contrast, light = between(0.6, 1.3, b).view(b, 1, 1), between(-0.15, 0.15, b).view(b, 1, 1, 1)
    matrix = contrast * (saturation @ hue)
    alpha = x[:, 3:]
    colour = torch.einsum("bij,bjhw->bihw", matrix, x[:, :3]) + (light + 0.5 * (1 - contrast[..., None])) * alpha
    return torch.cat([torch.minimum(colour.clamp_min(0), alpha), alpha], 1)


def background(x: torch.Tensor) -> torch.Tensor:
    """White for nearly half; else a colour, a slope between two, smooth noise, or a blurred piece of another picture. `[b, 3, …]`."""
    b, side = len(x), x.shape[-1]
    colours = torch.rand(b, 3, 1, 1)
    ramp = F.interpolate(torch.rand(b, 3, 2, 2), (side, side), mode="bilinear", align_corners=True)
    cells = int(torch.randint(3, 13, ()))
    noise = F.interpolate(torch.rand(b, 3, cells, cells), (side, side), mode="bilinear") * 0.6 + 0.4 * colours
    other = x.roll(1, 0)
    piece = other[:, :, side // 4 : side * 3 // 4, side // 4 : side * 3 // 4]
    piece = F.interpolate(piece, (side, side), mode="bilinear", align_corners=False)
    piece = piece[:, :3] + (1 - piece[:, 3:]) * colours
    kind = torch.rand(b, 1, 1, 1)
    made = torch.where(kind < 0.72, colours.expand_as(ramp), ramp)
    made = torch.where(kind > 0.82, noise, made)
    made = torch.where(kind > 0.94, piece, made)
    return torch.where(kind < 0.5, torch.ones(()), made)


def blurred(x: torch.Tensor) -> torch.Tensor:
    """Some are softened, as small or enlarged pictures are."""
    soft = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="replicate"), 3, 1)
    amount = chance(0.25, len(x)) * between(0.3, 1.0, len(x), 1, 1, 1)
    return x + (soft - x) * amount


def cut(x: torch.Tensor) -> torch.Tensor:
    """Some lose a rectangle."""
    b, side = len(x), x.shape[-1]
    along = torch.arange(side) + 0.5
    centre, size = between(0, side, b, 2), between(0.15, 0.45, b, 2) * side
    inside = [((along - centre[:, i : i + 1]).abs() < size[:, i : i + 1] / 2) for i in (0, 1)]
    hole = (inside[0][:, None, :, None] & inside[1][:, None, None, :]).float() * chance(0.2, b)
    return x * (1 - hole) + torch.rand(b, 3, 1, 1) * hole


def augment(pictures: torch.Tensor, side: int) -> torch.Tensor:
    """u8 RGBA `[b, h, h, 4]` → f32 `[b, 3, side, side]` in −1…1."""
    x = pictures.permute(0, 3, 1, 2).float().div_(255)
    x = torch.cat([x[:, :3] * x[:, 3:], x[:, 3:]], 1)
    x = recoloured(outlined(warped(x, side)))
    x = x[:, :3] + (1 - x[:, 3:]) * background(x)
    x = cut(blurred(x))
    x = x + torch.randn_like(x) * (chance(0.2, len(x)) * between(0, 0.06, len(x), 1, 1, 1))
    return x.clamp_(0, 1).mul_(2).sub_(1)
