"""The aspect of a radiograph, measured on the hand: squashed copies circulate without the size that they had."""
