"""How many pixels and channels one work item computes: a model of the device's record.

Per word of four input channels an item of p pixels and q quads of output channels has 4 p q
dot products, and loads 4 q words of weights and p words of activations. A large tile loads
less for each product; a small one leaves more items, which a device with many cores needs, and
takes fewer registers. Nothing here is measured: no such device was at hand.
"""

from itertools import product

from octavo.targets.accelerator import Accelerator

QUAD = 4
PIXELS, QUADS = (1, 2, 4, 8), (1, 2, 4)
OTHER_REGISTERS = 12  # a quad of weights, and what addresses are made of
PIXEL_REGISTERS = 2  # its place, and whether it exists
LOAD_COST = 1.0  # of a word, in dot products


def conv_tile(
    accelerator: Accelerator, *, pixels: int, quads: int, groups: int, words_at_once: int
) -> tuple[int, int]:
    """Pixels and quads of output channels of one work item.

    Args:
        accelerator: The device.
        pixels: Of the output, over the batch.
        quads: Of output channels of a group.
        groups: As said.
        words_at_once: Words of activations that an item keeps of each pixel.
    """
    def registers(tile: tuple[int, int]) -> int:
        kept = tile[0] * (words_at_once + PIXEL_REGISTERS)
        return QUAD * tile[0] * tile[1] + kept + OTHER_REGISTERS

    def time(tile: tuple[int, int]) -> tuple[float, int]:
        products = QUAD * tile[0] * tile[1]
        loads = QUAD * tile[1] + tile[0]
        items = -(-pixels // tile[0]) * -(-quads // tile[1])
        # Tiles that reach over the edge compute what their neighbours do.
        work = items * (products + LOAD_COST * loads)
        idle = max(1.0, accelerator.busy_items / (items * groups))
        return work * idle, registers(tile)

    tiles = [
        tile for tile in product(PIXELS, QUADS)
        if tile[0] <= pixels and tile[1] <= quads
        and (tile == (1, 1) or registers(tile) <= accelerator.registers)
    ]  # fmt: skip
    return min(tiles, key=time)


def depthwise_tile(accelerator: Accelerator, *, pixels: int, quads: int) -> int:
    """Pixels of one work item of a depthwise convolution; its weights serve all of them."""
    fitting = [
        count for count in PIXELS
        if count <= pixels
        and count * (QUAD + PIXEL_REGISTERS) + OTHER_REGISTERS <= accelerator.registers
        and -(-pixels // count) * quads >= accelerator.busy_items
    ]  # fmt: skip
    return max(fitting, default=1)
