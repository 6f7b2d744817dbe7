"""Made-up records of searches, as the search writes them."""

import numpy as np

FORMATS = ("w8a8", "w4a8", "w2a8", "w8a16", "float")
BITS = {"w8a8": 8, "w4a8": 4, "w2a8": 2, "w8a16": 8, "float": 32}
MS = {"w8a8": 1.0, "w4a8": 0.8, "w2a8": 0.78, "w8a16": 1.6, "float": 3.0}
LOSS = {"w8a8": 0.01, "w4a8": 0.12, "w2a8": 4.0, "w8a16": 0.004, "float": 0.0}


def objectives(*, labels=True, unit="ms"):
    loss = (
        {"name": "drop", "title": "accuracy lost", "unit": "points"}
        if labels
        else {"name": "noise", "title": "noise", "unit": "dB"}
    )
    return [
        loss,
        {"name": "latency", "title": "latency", "unit": unit},
        {"name": "bytes", "title": "weights", "unit": "B"},
    ]


def made_up_record(
    num_points=60, num_layers=14, *, labels=True, unit="ms", limits=None, seed=0, name="layer"
):
    """Costs are additive, losses too, with some noise."""
    rng = np.random.default_rng(seed)
    layers = [
        {
            "name": f"{name}{i}", "op_types": ["Conv", "Relu"], "num_weights": int(n),
            "macs": int(40 * n),
        }
        for i, n in enumerate(rng.lognormal(8, 1, num_layers))
    ]  # fmt: skip
    scale = 1e6 if unit != "ms" else 1.0

    def cost(formats):
        rows = [(layer["num_weights"], formats[layer["name"]]) for layer in layers]
        drop = sum(LOSS[f] * 8 / num_layers for _, f in rows) + rng.normal(0, 0.02)
        noise = 10 * np.log10(1e-4 * 10 ** min(drop, 4))
        found = {
            "latency": scale * 1e-4 * sum(n * MS[f] for n, f in rows),
            "bytes": float(sum(n * BITS[f] / 8 for n, f in rows)),
        }
        return ({"drop": drop} if labels else {"noise": float(noise)}) | found

    def uniform(name):
        return {layer["name"]: name for layer in layers}

    points = []
    for i in range(num_points):
        share = rng.dirichlet(np.ones(len(FORMATS)) * 0.6)
        formats = {layer["name"]: str(rng.choice(FORMATS, p=share)) for layer in layers}
        failed = i % 17 == 16
        points.append(
            {
                "id": i,
                "formats": uniform(FORMATS[i]) if i < 3 else formats,
                "objectives": {}
                if failed
                else cost(uniform(FORMATS[i]) if i < 3 else formats),
                "error": "conv1: no kernel for w2a8 with 3 groups" if failed else None,
                "on_front": False,
            }
        )
    good = [p for p in points if not p["error"]]
    for p in good:
        values = np.array([*p["objectives"].values()])
        others = np.array([[*q["objectives"].values()] for q in good])
        p["on_front"] = bool(~((others <= values).all(1) & (others < values).any(1)).any())
    if limits is None:
        uniform8 = points[0]["objectives"]
        limits = {"latency": 1.02 * uniform8["latency"]}
        if labels:
            limits["drop"] = 0.6
    front = [
        {
            "id": p["id"],
            "objectives": p["objectives"] | {"latency": p["objectives"]["latency"] * 1.003},
            "spread": {"latency": 0.004},
            "artifact": f"front/{p['id']}",
            "meets_limits": all(p["objectives"][k] <= v for k, v in limits.items()),
        }
        for p in good
        if p["on_front"]
    ]
    met = [p for p in front if p["meets_limits"]]
    best = min(met, key=lambda p: p["objectives"]["bytes"]) if met else None
    return {
        "schema": 1, "model": "net", "target": "host", "device": "local", "seed": 0,
        "solver": "front", "budget": num_points, "num_judging": 225,
        "objectives": objectives(labels=labels, unit=unit),
        "limits": limits,
        "references": [
            {"name": "float32", "objectives": cost(uniform("float"))},
            {"name": "w8a8", "objectives": cost(uniform("w8a8"))},
        ],
        "layers": layers,
        "points": points,
        "front": front,
        "best": best and {k: best[k] for k in ("id", "objectives")} | {"artifact": "best"},
        "why_not_better": [],
        "progress": [
            {"evaluations": n, "hypervolume": float(0.7 - 0.5 / (1 + 0.2 * n))}
            for n in range(4, num_points + 1, 4)
        ],
        "sensitivities": {
            layer["name"]: {
                f: {
                    "loss": LOSS[f] * float(rng.lognormal(0, 0.7)),
                    "ms": 1e-4 * layer["num_weights"] * MS[f],
                    "bytes": layer["num_weights"] * BITS[f] / 8,
                }
                for f in FORMATS
            }
            for layer in layers
        },
    }  # fmt: skip
