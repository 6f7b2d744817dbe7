"""A small manifest, as the artifact writer makes it."""

import pytest


@pytest.fixture
def manifest():
    return {
        "name": "tiny",
        "target": "host",
        "steps": [
            {
                "name": "stem/conv",
                "kernel": "k0",
                "op_types": ["Conv", "Relu"],
                "nodes": ["stem/conv", "stem/relu"],
                "placement": "int8",
                "variant": "conv_gemm.portable.1x1",
                "macs": 900,
                "reason": "",
                "read_bytes": 1000,
                "weight_bytes": 300,
                "written_bytes": 500,
            },
            {
                "name": "head/softmax",
                "kernel": "k1",
                "op_types": ["Softmax"],
                "nodes": ["head/softmax"],
                "placement": "float32",
                "variant": "",
                "macs": 100,
                "reason": "no integer kernel for axis 1",
                "read_bytes": 500,
                "weight_bytes": 0,
                "written_bytes": 100,
            },
        ],
        "memory": {
            "arena_bytes": 4096,
            "lower_bound_bytes": 3072,
            "weights_bytes": 2048,
            "buffers": [
                {
                    "name": "input",
                    "offset_bytes": 0,
                    "num_bytes": 1024,
                    "first_step": -1,
                    "last_step": 0,
                },
                {
                    "name": "hidden",
                    "offset_bytes": 1024,
                    "num_bytes": 2048,
                    "first_step": 0,
                    "last_step": 1,
                },
                {
                    "name": "output",
                    "offset_bytes": 3072,
                    "num_bytes": 512,
                    "first_step": 1,
                    "last_step": 2,
                },
            ],
        },
        "files": {"weights.bin": "ab" * 32},
        "versions": {"octavo": "0.1.0"},
    }


@pytest.fixture
def layer_errors():
    return [
        {
            "layer": "stem/conv",
            "op_type": "Conv",
            "sqnr_isolated_db": 40.0,
            "sqnr_cumulative_db": 40.0,
        },
        {
            "layer": "head/fc",
            "op_type": "Gemm",
            "sqnr_isolated_db": 12.5,
            "sqnr_cumulative_db": 11.0,
        },
        {
            "layer": "head/flatten",
            "op_type": "Flatten",
            "sqnr_isolated_db": None,
            "sqnr_cumulative_db": 10.5,
        },
    ]
