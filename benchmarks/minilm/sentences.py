"""Sentences as the encoder's inputs, and its outputs as embeddings."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

SENTENCES = Path(__file__).with_name("sentences.txt")
CALIBRATION_SENTENCES = Path(__file__).with_name("calibration_sentences.txt")


def load_sentences(file: Path = SENTENCES) -> list[str]:
    """Return the sentences of a text file of this folder, one for each line."""
    return file.read_text(encoding="utf-8").splitlines()


def tokenize(
    sentences: Iterable[str], directory: Path, sequence_length: int = 32
) -> Iterator[dict[str, NDArray[np.int64]]]:
    """Yield the encoder's inputs for each sentence, padded or cut to the sequence length.

    Args:
        sentences: Any text.
        directory: Folder with the published tokenizer.json.
        sequence_length: Tokens, [CLS] and [SEP] included.

    Yields:
        ``input_ids``, ``attention_mask`` and ``token_type_ids``, each (1, sequence_length).
    """
    tokenizer = Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.enable_truncation(sequence_length)
    tokenizer.enable_padding(length=sequence_length)
    for sentence in sentences:
        encoding = tokenizer.encode(sentence)
        columns = {
            "input_ids": encoding.ids,
            "attention_mask": encoding.attention_mask,
            "token_type_ids": encoding.type_ids,
        }
        yield {name: np.array([values], np.int64) for name, values in columns.items()}


def embed(
    hidden: NDArray[np.float32], attention_mask: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Average the states of the tokens that are not padding and scale to length 1.

    Args:
        hidden: The encoder's output, shape (1, sequence_length, width).
        attention_mask: 1 for tokens and 0 for padding, shape (1, sequence_length).

    Returns:
        Shape (width,).
    """
    weights = attention_mask[0, :, None].astype(np.float32)
    mean = (hidden[0] * weights).sum(axis=0) / weights.sum()
    return np.asarray(mean / np.linalg.norm(mean), np.float32)


def cosine(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Return the cosine of the angle between two vectors, -1 to 1."""
    norms = np.linalg.norm(first) * np.linalg.norm(second)
    return float(np.dot(first, second) / norms)
