"""How well a map points: the field's numbers, each to the letter of the program that published it.

A *map* is a similarity map of one clip, `(n, n)` cells or already `(224, 224)`, any range. A *target* is `(224, 224)`
in [0, 1]: 1 where annotators agree that the source is. In the manner of mir_eval: pure numpy, every function checks its
input and names the usual mistake, and is held to golden values made by an independent program.

    masks      which pixels a protocol takes for the answer: median, true size, fixed threshold
    ciou       consensus IoU of one clip; over clips: success (the printed "cIoU"), AUC
    interactive  IIoU, IAUC: every source of one picture must be found
    detection  AP and max-F1 over clips with and without a visible source; AUROC
    universal  one threshold for all clips and negative audio: pIA, AOC, F
    pointing   peak in box; targets and baselines; intervals
"""

from .baselines import centre_disc
from .bootstrap import bootstrap_means
from .ciou import AUC_THRESHOLDS, adaptive_ciou, auc, auc_by_clip, ciou, ciou_of_mask, ciou_success
from .detection import auroc, average_precision, map_confidence, max_f1, precision_recall
from .interactive import iauc, iiou, picture_of
from .masks import PROTOCOLS, Protocol, adaptive_mask, fixed_mask, median_mask, protocol_mask
from .pointing import peak_in_box
from .targets import SIZE_CLASSES, SIZE_PX, boxes_to_target, consensus_target, size_class
from .universal import aoc, f_score, map_iou, pia, universal_threshold
from .validate import validate_cious, validate_map, validate_target

__all__ = [
    "PROTOCOLS", "SIZE_CLASSES", "SIZE_PX", "AUC_THRESHOLDS", "Protocol",
    "ciou", "ciou_of_mask", "ciou_success", "auc", "auc_by_clip", "adaptive_ciou",
    "median_mask", "adaptive_mask", "fixed_mask", "protocol_mask",
    "iiou", "iauc", "picture_of",
    "map_confidence", "precision_recall", "average_precision", "max_f1", "auroc",
    "pia", "aoc", "universal_threshold", "f_score", "map_iou",
    "peak_in_box", "centre_disc", "bootstrap_means",
    "boxes_to_target", "consensus_target", "size_class",
    "validate_map", "validate_target", "validate_cious",
]  # fmt: skip
