"""The whole network and its loss."""

import math

import torch
from model import Attention, Batch, Experts, Norm, Router, rope_frequencies
from shape import Shape
from torch import Tensor, nn
from torch.nn import functional


class Mlp(nn.Module):
    """Router and experts."""

    def __init__(self, shape: Shape) -> None:
        """Makes the layer with random weights."""
        super().__init__()
        self.router = Router(shape)
        self.experts = Experts(shape)

    def forward(self, x: Tensor) -> Tensor:
        """Routes and computes."""
        return self.experts(x, self.router(x))


class Layer(nn.Module):
    """One decoder layer."""

    def __init__(self, shape: Shape) -> None:
        """Makes the layer with random weights."""
        super().__init__()
        self.input_layernorm = Norm(shape)
        self.self_attn = Attention(shape)
        self.post_attention_layernorm = Norm(shape)
        self.mlp = Mlp(shape)

    def forward(
        self, x: Tensor, rotation: tuple[Tensor, Tensor], masks: tuple[Tensor, Tensor], k: int
    ) -> Tensor:
        """Attention and experts, each added to x."""
        x = x + self.self_attn(self.input_layernorm(x), rotation, masks, k)
        return x + self.mlp(self.post_attention_layernorm(x))


class Network(nn.Module):
    """gpt-oss over a small vocabulary of classes. Class 0 stands for every token id that training never shows.

    Args:
        shape: size of the network.
        classes: number of classes, class 0 included.
    """

    def __init__(self, shape: Shape, classes: int) -> None:
        """Makes the network with random weights."""
        super().__init__()
        self.shape = shape
        self.embed_tokens = nn.Embedding(classes, shape.hidden)  # also the head: what is read can be copied
        nn.init.normal_(self.embed_tokens.weight, std=0.1)
        self.layers = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = Norm(shape)
        frequencies, self.rope_factor = rope_frequencies(shape)
        self.register_buffer("frequencies", frequencies, persistent=False)
        others = torch.zeros(classes)
        others[0] = math.log(shape.vocabulary - classes + 1)
        self.register_buffer("others", others, persistent=False)

    def loss(self, batch: Batch) -> Tensor:
        """Mean cross entropy of what the model has to say."""
        asked = batch.targets >= 0
        return functional.cross_entropy(self.logits(batch, asked), batch.targets[asked])

    def logits(self, batch: Batch, asked: Tensor) -> Tensor:
        """Logits over the classes at the asked places of the conversations; class 0 counts for all its ids."""
        b, k, length = batch.conversations.shape
        places = [torch.arange(batch.settings.shape[1]).expand(b, -1)]
        places.append((batch.lengths[:, None, None] + torch.arange(length)).expand(b, k, -1).flatten(1))
        angles = torch.cat(places, 1)[:, None, :, None] * self.frequencies
        rotation = (angles.cos() * self.rope_factor, angles.sin() * self.rope_factor)
        masks = {window: self._masks(batch, window) for window in (self.shape.window, self.shape.positions)}
        x = self.embed_tokens(torch.cat([batch.settings, batch.conversations.flatten(1)], 1))
        for index, layer in enumerate(self.layers):
            window = self.shape.window if index % 2 == 0 else self.shape.positions
            x = layer(x, rotation, masks[window], k)
        said = self.norm(x[:, batch.settings.shape[1] :].unflatten(1, (k, length))[asked])
        return said @ self.embed_tokens.weight.T + self.others

    @staticmethod
    def _masks(batch: Batch, window: int) -> tuple[Tensor, Tensor]:
        """What settings see of sink and setting, and conversations of sink, setting and conversation."""
        b, k, length = batch.conversations.shape
        here, there = torch.arange(batch.settings.shape[1]), torch.arange(length)

        def mask(queries: Tensor, keys: Tensor) -> Tensor:
            distance = queries.unsqueeze(-1) - keys
            return torch.zeros(distance.shape).masked_fill((distance < 0) | (distance >= window), -1e9)

        before = mask(batch.lengths[:, None] + there, here)
        before = before.masked_fill((here >= batch.lengths[:, None])[:, None, :], -1e9)
        talks = functional.pad(torch.cat([before, mask(there, there).expand(b, -1, -1)], -1), (1, 0))
        return functional.pad(mask(here, here), (1, 0))[None, None], talks.repeat_interleave(k, 0)[:, None]
