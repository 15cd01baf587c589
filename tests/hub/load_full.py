"""Load the full profile of each family as a run does, offline, and say what came."""

from __future__ import annotations

import json

import torch

from bench.api import Audio
from methods.musicgen.method import MusicgenMelody
from methods.riffusion.backbone import load_backbone
from methods.riffusion.tve import TVE
from metrics.clap.embedder import load_embedder
from metrics.clap.scores import ContentPreservation


def main() -> None:
    """Load, and print what was seen as one line of JSON."""
    TVE().load("full", "cpu")
    musicgen = MusicgenMelody()
    musicgen.load("full", "cpu")
    metric = ContentPreservation()
    metric.load("full", "cpu")
    backbone = load_backbone("full", "cpu")
    embedder = load_embedder("full", "cpu")
    noise = torch.rand(1, 48000, generator=torch.Generator().manual_seed(0)) - 0.5
    # Two texts must read differently in every family: the trap of tokenizers without their files.
    texts = [embedder.embed_text(text).round(6).tolist() for text in ("a piano", "a violin")]
    readings = [musicgen._ready.tokenizer(text)["input_ids"] for text in ("a piano", "a violin")]
    with torch.no_grad():
        query = backbone.parts.vae.encoder.mid_block.attentions[0].to_q.weight
        seen = {
            "context": list(backbone.encode_prompt("music").shape),
            "query": query.flatten()[:4].tolist(),
            "dimensions": len(embedder.embed_audio(Audio(noise.numpy(), 48000))),
            "texts_differ": texts[0] != texts[1],
            "readings": readings,
            "scaling": backbone.parts.vae.config.scaling_factor,
            "alphas": [float(backbone.schedule.alphas_cumprod[t]) for t in (0, 999)],
            "text_epsilon": embedder._towers.model.config.text_config.layer_norm_eps,
            "checkpoint": metric.fingerprint()["checkpoint"],
        }
    print(json.dumps(seen))  # noqa: T201 - read by the test


if __name__ == "__main__":
    main()
