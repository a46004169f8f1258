"""What is known: modules, functions and names of methods, by what they do."""

from __future__ import annotations

import operator

import torch
from torch import nn
from torch.nn import functional as F

from scatter_theory.certify.model._pointwise import ACTIVATIONS, log_softmax, softmax

#: Maps that put each entry of the input nowhere, once or several times, next to constants.
SELECTIONS = {
    nn.Identity, nn.Flatten, nn.Unflatten, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle,
    nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout, nn.FeatureAlphaDropout,
    nn.ZeroPad1d, nn.ZeroPad2d, nn.ZeroPad3d, nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d,
    nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d,
    nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d,
    nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d,
    F.pad, F.pixel_shuffle, F.pixel_unshuffle, F.channel_shuffle, operator.getitem, torch.flatten, torch.reshape,
    torch.transpose, torch.permute, torch.squeeze, torch.unsqueeze, torch.swapaxes, torch.movedim, torch.flip,
    torch.roll, torch.narrow, torch.select, torch.clone,
    "flatten", "unflatten", "view", "reshape", "transpose", "permute", "contiguous", "squeeze", "unsqueeze", "expand",
    "repeat", "clone", "flip", "roll", "narrow", "select", "swapaxes", "movedim", "t",
}  # fmt: skip
DROPOUTS = {F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout}
SIZES = {"size", "dim", "numel", "ndimension"}
CALLS = {call: activation for activation in ACTIVATIONS for call in activation.calls}
MODULES = {activation.module: activation for activation in ACTIVATIONS if activation.module}
SIDE_BY_SIDE = {torch.cat, torch.concat, torch.stack}
REDUCED = {torch.mean, "mean", torch.sum, "sum"}
EXTREMES = {torch.amax, "amax", torch.amin, "amin"}
PRELU = {nn.PReLU, F.prelu, torch.prelu}
ADAPTIVE_AVERAGE = {nn.AdaptiveAvgPool1d: 1, nn.AdaptiveAvgPool2d: 2, nn.AdaptiveAvgPool3d: 3}
ADAPTIVE_AVERAGE |= {F.adaptive_avg_pool1d: 1, F.adaptive_avg_pool2d: 2, F.adaptive_avg_pool3d: 3}
AVERAGE = {nn.AvgPool1d: 1, nn.AvgPool2d: 2, nn.AvgPool3d: 3, F.avg_pool1d: 1, F.avg_pool2d: 2, F.avg_pool3d: 3}
ADAPTIVE_MAX = {nn.AdaptiveMaxPool1d: 1, nn.AdaptiveMaxPool2d: 2, nn.AdaptiveMaxPool3d: 3}
ADAPTIVE_MAX |= {F.adaptive_max_pool1d: 1, F.adaptive_max_pool2d: 2, F.adaptive_max_pool3d: 3}
MAX = {nn.MaxPool1d: 1, nn.MaxPool2d: 2, nn.MaxPool3d: 3, F.max_pool1d: 1, F.max_pool2d: 2, F.max_pool3d: 3}
SOFT = {f: softmax for f in (nn.Softmax, F.softmax, torch.softmax, "softmax")}
SOFT |= {f: log_softmax for f in (nn.LogSoftmax, F.log_softmax, torch.log_softmax, "log_softmax")}
BY_CHANNEL = {*ADAPTIVE_AVERAGE, *AVERAGE, *ADAPTIVE_MAX, *MAX, *DROPOUTS, nn.Identity, nn.Dropout}
ADD = {operator.add, torch.add, "add", operator.sub, torch.sub, "sub"}
SCALE = {operator.mul, torch.mul, "mul", operator.truediv, torch.div, "div", operator.neg, torch.neg, "neg"}
