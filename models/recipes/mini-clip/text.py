"""The text tower: all-MiniLM-L6-v2, frozen; mean pooling over the tokens, then length one."""

from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import BertModel, logging

logging.set_verbosity_error()  # the pooler that is left out is meant to be left out
LONGEST = 64  # tokens; captions are a few words


class TextTower:
    """Loads a Hugging Face folder of a BERT encoder."""

    def __init__(self, folder: Path):
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.enable_truncation(LONGEST)
        self.tokenizer.enable_padding()
        self.model = BertModel.from_pretrained(folder, add_pooling_layer=False).eval()

    @torch.inference_mode()
    def embed(self, texts: list[str], batch: int = 128) -> np.ndarray:
        """f32 `[texts, 384]`, each row of length one."""
        rows = []
        for start in range(0, len(texts), batch):
            encoded = self.tokenizer.encode_batch(texts[start : start + batch])
            ids = torch.tensor([one.ids for one in encoded])
            mask = torch.tensor([one.attention_mask for one in encoded])
            hidden = self.model(input_ids=ids, attention_mask=mask).last_hidden_state  # [batch, tokens, 384]
            weights = mask[..., None].float()
            pooled = (hidden * weights).sum(1) / weights.sum(1)
            rows.append(torch.nn.functional.normalize(pooled, dim=-1).numpy())
        return np.concatenate(rows)
